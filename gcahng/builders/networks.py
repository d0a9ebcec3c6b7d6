"""The networks of an experiment: embedder, metric loss and negative generator."""

import inspect
from typing import Any

from torch import nn

from gcahng.builders.blame import blame_setting
from gcahng.config import ExperimentConfig
from gcahng.config.sections import GraphConfig
from gcahng.generators import GENERATORS, NegativeGenerator, argument_names
from gcahng.graph.convs import CONVS
from gcahng.losses import LOSSES, accepted_arguments
from gcahng.models import BACKBONES, Embedder, build_backbone
from gcahng.registry import check_arguments

# Arguments of generators that have a setting of their own, which `generator.args` would override.
SET_ELSEWHERE = {
    **{name: f"generator.graph.{name}" for name in ("conv", "layers", "heads", "path", "memory")},
    "edge_dropout": "generator.graph.dropout",
    "dropout": "generator.graph.dropout_rate",
    **{name: f"generator.{name}" for name in ("alpha", "beta", "gamma", "synthetic_weight")},
    **{
        name: f"generator.{name}"
        for name in ("similarity_weight", "diversity_weight", "node_ce_weight")
    },
    "edge_heads": "quirks.edge_heads",
    "misplaced_similarity_mask": "quirks.similarity_mask",
    "keep_own_class": "quirks.same_class_negatives",
}


def build_embedder(config: ExperimentConfig, pretrained: bool = True) -> Embedder:
    """Build the backbone and the linear layer.

    Args:
        config: The experiment.
        pretrained: Whether to start from the backbone's pretrained weights, if it has any; False
            if other weights will be loaded.

    Raises:
        ConnectionError: If pretrained weights cannot be downloaded.
        FileNotFoundError: If a file of weights is missing.
        ValueError: If the backbone or an argument is unknown, or an entry of `freeze` does not
            apply to it; the message starts with the setting.
    """
    section = config.embedder
    with blame_setting("embedder.backbone.name"):
        BACKBONES.find(section.backbone.name)
    with blame_setting("embedder.backbone.args"):
        args = section.backbone.args
        backbone = build_backbone(section.backbone.name, untrained=not pretrained, **args)
    with blame_setting("embedder.freeze"):
        return Embedder(backbone, section.dim, section.normalize, section.freeze, section.init)


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
    dim = config.embedder.dim
    sizes = {
        "num_classes": num_classes,
        "embedding_dim": dim,
        "embedding_size": dim,
        "descriptors_dim": dim,
    }
    args = {name: size for name, size in sizes.items() if name in takes}
    with blame_setting("loss.args"):
        made = loss(**args | config.loss.args)
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

    A generator gets those settings of the section that it accepts. It must accept all of `args`.

    Args:
        config: The experiment.
        num_classes: Number of training classes.

    Raises:
        ValueError: If the generator, a layer or an argument is unknown, or a value is invalid; the
            message starts with the setting.
    """
    section = config.generator
    if section is None:
        return None
    with blame_setting("generator.name"):
        generator = GENERATORS.find(section.name)
    _check_layers(section.graph)
    known = argument_names(generator)
    with blame_setting("generator.args"):
        check_arguments(f"generator {section.name!r}", section.args, known)
        for name in section.args:
            if name in SET_ELSEWHERE:
                raise ValueError(f"{name!r} is set by {SET_ELSEWHERE[name]}: set it there")
    settings = {k: v for k, v in _generator_settings(config).items() if k in known}
    with blame_setting("generator.args" if section.args else "generator"):
        return generator(config.embedder.dim, num_classes, **settings | section.args)


def _check_layers(graph: GraphConfig) -> None:
    with blame_setting("generator.graph.conv"):
        CONVS.find(graph.conv)
    for name, _ in _layers(graph) if isinstance(graph.layers, list) else []:
        with blame_setting("generator.graph.layers"):
            CONVS.find(name)


def _layers(graph: GraphConfig) -> Any:
    """The number of layers, or each layer's name and arguments."""
    if isinstance(graph.layers, int):
        return graph.layers
    return [(one, {}) if isinstance(one, str) else (one.name, one.args) for one in graph.layers]


def _generator_settings(config: ExperimentConfig) -> dict[str, Any]:
    section, quirks = config.generator, config.quirks
    assert section is not None
    graph = section.graph
    return {
        "conv": graph.conv,
        "layers": _layers(graph),
        "heads": graph.heads,
        "edge_heads": 1 if quirks.edge_heads == "faithful" else graph.heads,
        "edge_dropout": graph.dropout,
        "dropout": graph.dropout_rate,
        "path": graph.path,
        "memory": graph.memory,
        "alpha": section.alpha,
        "beta": section.beta,
        "gamma": section.gamma,
        "similarity_weight": section.similarity_weight,
        "diversity_weight": section.diversity_weight,
        "node_ce_weight": section.node_ce_weight,
        "synthetic_weight": section.synthetic_weight,
        "misplaced_similarity_mask": quirks.similarity_mask == "faithful",
        "keep_own_class": quirks.same_class_negatives == "faithful",
    }
