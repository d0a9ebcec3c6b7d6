"""A hash of a model that tells whether embeddings can be compared."""

import hashlib
import json

import torch

from gcahng.config import ExperimentConfig
from gcahng.inference.share import public_settings
from gcahng.models import Embedder
from gcahng.models.backbones import ORIGINS
from gcahng.models.source_code import source_of


def fingerprint_of(network: Embedder, transform: str, config: ExperimentConfig) -> str:
    """Hash what decides an embedding: equal for models that embed alike.

    This is the image transform, the network's settings, its weights, and the code of a backbone of
    the user's own.

    Args:
        network: With its weights.
        transform: Name of the image transform.
        config: The model's settings.
    """
    # Of a run and of the model that was shared from it, these are the same.
    section = public_settings(config).embedder
    name, args = section.backbone.name, section.backbone.args
    shaping = {key: value for key, value in args.items() if key not in ORIGINS}
    steps = config.data.transform.test
    facts = [transform, steps, name, shaping, section.head, section.normalize]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    if ":" in name:
        digest.update(source_of(network.backbone))
    for key, value in network.state_dict().items():
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:32]
