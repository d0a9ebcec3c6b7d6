"""A hash of a model that tells whether embeddings can be compared."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import torch

from gcahng.config import ExperimentConfig
from gcahng.inference.share import public_settings
from gcahng.models import Embedder
from gcahng.models.backbones import ORIGINS, LibraryTransform
from gcahng.models.source_code import source_of


def fingerprint_of(
    network: Embedder, name: str, transform: Callable[..., Any], config: ExperimentConfig
) -> str:
    """Hash what decides an embedding: equal for models that embed alike.

    This is the image transform, the network's settings, its weights, and the code of a backbone of
    the user's own.

    Args:
        network: With its weights.
        name: Name of the image transform.
        transform: The image transform.
        config: The model's settings.
    """
    # Of a run and of the model that was shared from it, these are the same.
    section = public_settings(config).embedder
    backbone, args = section.backbone.name, section.backbone.args
    shaping = {key: value for key, value in args.items() if key not in ORIGINS}
    steps = config.data.transform.test
    if isinstance(transform, LibraryTransform):
        steps = dict(transform.settings)
    facts = [name, steps, backbone, shaping, section.head, section.normalize]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    if ":" in backbone:
        digest.update(source_of(network.backbone))
    for key, value in network.state_dict().items():
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:32]
