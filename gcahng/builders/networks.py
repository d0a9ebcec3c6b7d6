"""The networks of an experiment: embedder, metric loss and negative generator."""

from typing import get_args

import torch
from torch import nn

from gcahng.arguments import arguments_of, check_forward
from gcahng.builders.images import transform_of
from gcahng.config import ExperimentConfig
from gcahng.errors import blame_setting
from gcahng.generators import GENERATORS, NegativeGenerator
from gcahng.generators.gca_hng import Quirk
from gcahng.losses import LOSSES
from gcahng.models import BACKBONES, Embedder, build_backbone
from gcahng.models.artifact import EmbedderSpec


def build_embedder(config: ExperimentConfig, pretrained: bool = True) -> Embedder:
    """Build the backbone and the last layer; not `pretrained` if other weights will be loaded.

    A ValueError starts with the setting; an OSError says which weights are missing.
    """
    section = config.embedder
    name, args, place = section.backbone.name, section.backbone.args, "embedder.backbone.args"
    with blame_setting("embedder.backbone.name"):
        BACKBONES.find(name)
    with blame_setting(place):
        args = BACKBONES.check(name, args, place=place)
        backbone = build_backbone(name, untrained=not pretrained, **args)
    width = int(backbone.out_channels)  # type: ignore[arg-type]
    dim = width if section.dim is None else section.dim
    if (section.head != "linear" and dim > width) or (section.head == "none" and dim < width):
        most = "null or" if section.head == "none" else "at most"
        raise ValueError(
            f"embedder.dim: expected {most} {width}, the width of the backbone's features, for "
            f"embedder.head={section.head}, got {dim}"
        )
    with blame_setting("embedder.freeze"):
        return Embedder(
            backbone, section.dim, section.normalize, section.freeze, section.init, section.head
        )


def describe_embedder(config: ExperimentConfig) -> EmbedderSpec:
    """Describe the embedder of an experiment and the preparation of its images, for files."""
    section = config.embedder
    return EmbedderSpec(
        name=config.name,
        backbone=section.backbone.name,
        args=section.backbone.args,
        head=section.head,
        dim=section.dim,
        normalize=section.normalize,
        preparation=transform_of(config, augment=False),
    )


def build_untrained(config: ExperimentConfig) -> nn.Module:
    """Build the pretrained backbone for pictures of the size that its library gives it."""
    section = config.embedder.backbone
    args = {name: value for name, value in section.args.items() if name != "img_size"}
    with torch.random.fork_rng(devices=[]):  # the random state stays as it is
        return build_backbone(section.name, **args)


def build_loss(config: ExperimentConfig, num_classes: int) -> nn.Module:
    """Build the metric loss; one that takes `num_classes` and the embedding dimension gets them."""
    name, dim = config.loss.name, _trained_dim(config)
    with blame_setting("loss.name"):
        make = LOSSES.find(name)
    takes, _ = arguments_of(make)
    sizes = {
        "num_classes": num_classes,
        "embedding_dim": dim,
        "embedding_size": dim,
        "descriptors_dim": dim,
    }
    args = {size: value for size, value in sizes.items() if size in takes} | config.loss.args
    with blame_setting("loss.args"):
        loss = make(**LOSSES.check(name, args, place="loss.args"))
    with blame_setting("loss.name"):
        check_forward(loss, f"metric loss {name!r} with forward(embeddings, labels)", None, None)
    return loss


def build_generator(config: ExperimentConfig, num_classes: int) -> NegativeGenerator | None:
    """Build the negative generator; None if the experiment has none.

    One that takes `quirks` gets the names of those that follow the published code.
    """
    section = config.generator
    if section is None:
        return None
    with blame_setting("generator.name"):
        make = GENERATORS.find(section.name)
    args = dict(section.args)
    if "quirks" in arguments_of(make)[0]:
        faithful = [name for name in get_args(Quirk) if getattr(config.quirks, name) == "faithful"]
        args.setdefault("quirks", faithful)
    with blame_setting("generator.args"):
        args = GENERATORS.check(section.name, args, positional=2, place="generator.args")
        return make(_trained_dim(config), num_classes, **args)


def _trained_dim(config: ExperimentConfig) -> int:
    """Return the embedding dimension for loss and generator; any, where nothing is trained."""
    return config.embedder.dim or 1
