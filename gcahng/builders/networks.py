"""The networks of an experiment: embedder, metric loss and negative generator."""

import inspect

import torch
from torch import nn

from gcahng.arguments import check_types
from gcahng.builders.blame import blame_setting
from gcahng.builders.generator_settings import SETTINGS, argument, check_generator_settings
from gcahng.builders.images import build_test_transform
from gcahng.config import ExperimentConfig
from gcahng.generators import GENERATORS, NegativeGenerator, argument_names
from gcahng.graph.convs import IndivisibleError
from gcahng.losses import LOSSES, accepted_arguments
from gcahng.models import BACKBONES, Embedder, build_backbone
from gcahng.models.artifact import EmbedderSpec
from gcahng.registry import check_call


def build_embedder(config: ExperimentConfig, pretrained: bool = True) -> Embedder:
    """Build the backbone and the last layer.

    Args:
        config: The experiment.
        pretrained: Whether to start from the backbone's pretrained weights, if it has any; False
            if other weights will be loaded.

    Raises:
        ConnectionError: If pretrained weights cannot be downloaded.
        FileNotFoundError: If a file of weights is missing.
        ValueError: If the backbone or an argument is unknown, an entry of `freeze` does not apply
            to it, or `dim` does not fit it; the message starts with the setting.
    """
    section = config.embedder
    with blame_setting("embedder.backbone.name"):
        BACKBONES.find(section.backbone.name)
    with blame_setting("embedder.backbone.args"):
        name, args = section.backbone.name, section.backbone.args
        try:
            backbone = build_backbone(name, untrained=not pretrained, **args)
        except (AttributeError, LookupError) as error:
            # The libraries use some arguments as keys or attribute names without checking them.
            raise ValueError(
                f"{name!r} cannot be built: {type(error).__name__}: {error}"
            ) from error
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
    """Describe the embedder of an experiment and the preparation of its images, for files.

    Raises:
        ValueError: If the transform or an argument is unknown; the message starts with the setting.
    """
    section = config.embedder
    return EmbedderSpec(
        name=config.name,
        backbone=section.backbone.name,
        args=section.backbone.args,
        head=section.head,
        dim=section.dim,
        normalize=section.normalize,
        preparation=build_test_transform(config),
    )


def build_untrained(config: ExperimentConfig) -> nn.Module:
    """Build the pretrained backbone for pictures of the size that its library gives it.

    The random state stays as it is.

    Raises:
        OSError: If its weights are missing or cannot be downloaded.
        ValueError: If they do not fit.
    """
    section = config.embedder.backbone
    args = {name: value for name, value in section.args.items() if name != "img_size"}
    with torch.random.fork_rng(devices=[]):
        return build_backbone(section.name, **args)


def build_loss(config: ExperimentConfig, num_classes: int) -> nn.Module:
    """Build the metric loss.

    Args:
        config: The experiment.
        num_classes: Number of training classes. It and the embedding dimension are passed to a
            loss that accepts them, such as one with proxies.

    Raises:
        ImportError: If the loss belongs to a library that is not installed.
        ValueError: If the loss or an argument is unknown, or it cannot be called as
            `loss(embeddings, labels)`; the message starts with the setting.
    """
    with blame_setting("loss.name"):
        loss = LOSSES.find(config.loss.name)
    takes = accepted_arguments(loss)
    dim = _trained_dim(config)
    sizes = {
        "num_classes": num_classes,
        "embedding_dim": dim,
        "embedding_size": dim,
        "descriptors_dim": dim,
    }
    args = {name: size for name, size in sizes.items() if name in takes}
    with blame_setting("loss.args"):
        args |= config.loss.args
        check_call(f"metric loss {config.loss.name!r}", loss, **args)
        made = loss(**args)
        _check_call(config.loss.name, made)
        return made


def _check_call(name: str, loss: nn.Module) -> None:
    """Raise unless a user's loss can be called as `loss(embeddings, labels)`."""
    signature = inspect.signature(loss.forward)
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise ValueError(
            f"Expected metric loss {name!r} with forward(embeddings, labels) "
            f"(got forward{signature})"
        ) from error


def build_generator(config: ExperimentConfig, num_classes: int) -> NegativeGenerator | None:
    """Build the negative generator with the configured quirks; None if the experiment has none.

    A generator gets those settings of the section that it accepts. It must accept all of `args`,
    and each setting that was chosen for it.

    Args:
        config: The experiment.
        num_classes: Number of training classes.

    Raises:
        ValueError: If the generator, a layer or an argument is unknown, or a value is invalid; the
            message starts with the setting.
    """
    section = config.generator
    check_generator_settings(config)
    if section is None:
        return None
    with blame_setting("generator.name"):
        generator = GENERATORS.find(section.name)
    known = argument_names(generator)
    settings = {name: argument(config, name) for name in SETTINGS if name in known}
    with blame_setting("generator.args" if section.args else "generator"):
        check_types(f"generator {section.name!r}", generator, section.args)
        passed_on = section.args.keys() - inspect.signature(generator).parameters.keys()
        inherited = {name: section.args[name] for name in passed_on}
        check_types(f"generator {section.name!r}", NegativeGenerator, inherited)
        try:
            return generator(_trained_dim(config), num_classes, **settings | section.args)
        except IndivisibleError as error:
            heads = error.heads
    raise ValueError(
        f"embedder.dim: expected a multiple of generator.graph.heads ({heads}), "
        f"got {config.embedder.dim}"
    )


def _trained_dim(config: ExperimentConfig) -> int:
    """Return the embedding dimension for loss and generator; any, where nothing is trained."""
    return config.embedder.dim or 1
