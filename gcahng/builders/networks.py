"""From a configuration to the objects it names."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Optimizer, lr_scheduler
from torch.utils.data import DataLoader

from gcahng.config import ExperimentConfig, data_root
from gcahng.config.sections import GraphConfig, ScheduleConfig
from gcahng.data import (
    DATASETS,
    TRANSFORMS,
    ClassBalancedBatchSampler,
    ClassSubset,
    ImageDataset,
    build_dataset,
    build_transform,
    check_findable,
    split_classes,
)
from gcahng.generators import GENERATORS, NegativeGenerator
from gcahng.graph.convs import CONVS
from gcahng.losses import LOSSES
from gcahng.models import BACKBONES, Embedder, build_backbone
from gcahng.registry import check_arguments
from gcahng.training.step import Optimizers


@contextmanager
def blame_setting(path: str) -> Iterator[None]:
    """Put the dotted path of the setting that is to blame before a component's complaint."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


@dataclass(frozen=True)
class Splits:
    """The images of one experiment.

    Attributes:
        train: What is trained on.
        validation: Training classes held out to choose the best epoch, or None.
        test: What is reported.
    """

    train: ImageDataset
    validation: ImageDataset | None
    test: ImageDataset


def build_splits(config: ExperimentConfig) -> Splits:
    """The three splits, with their transforms.

    Raises:
        ValueError: If the data set, its arguments or the validation share do not fit.
    """
    whole = open_split(config, "train", augment=True)
    test = open_split(config, "test", augment=False)
    with blame_setting("data"):
        check_findable(test)
    if config.data.validation == 0:
        return Splits(whole, None, test)
    with blame_setting("data.validation"):
        kept, held_out = split_classes(
            whole.num_classes, config.data.validation, config.data.validation_seed
        )
    plain = transform_of(config, whole, augment=False)
    validation = ClassSubset(whole, held_out, plain)
    with blame_setting("data.validation"):
        check_findable(validation, "validation")
    return Splits(ClassSubset(whole, kept, whole.transform), validation, test)


def build_spare_split(config: ExperimentConfig) -> ImageDataset | None:
    """Classes set aside for the warm start, where one is configured."""
    if config.embedder.warm_start is None:
        return None
    with blame_setting("embedder.warm_start"):
        return open_split(config, "pre", augment=True)


def open_split(config: ExperimentConfig, split: str, augment: bool) -> ImageDataset:
    """One split of the configured data set, augmented as for training or not at all."""
    with blame_setting("data.name"):
        DATASETS.find(config.data.name)
    with blame_setting("data.args" if config.data.args else "data"):
        dataset = build_dataset(config.data.name, split, data_root(config), **config.data.args)
    dataset.transform = transform_of(config, dataset, augment)
    return dataset


def transform_of(config: ExperimentConfig, dataset: ImageDataset, augment: bool) -> Any:
    """The configured transform, else the data set's own."""
    section = config.data.transform
    name = section.name or dataset.transform_name
    with blame_setting("data.transform.name"):
        TRANSFORMS.find(name)
    with blame_setting(f"data.transform.{'train' if augment else 'test'}"):
        return build_transform(name, augment, **(section.train if augment else section.test))


def build_train_loader(
    config: ExperimentConfig, dataset: ImageDataset
) -> tuple[DataLoader[Any], ClassBalancedBatchSampler]:
    """Class-balanced batches in slot-major order; `set_epoch` of the sampler chooses the epoch."""
    available = dataset.num_classes
    if 2 <= available < config.batch.classes:
        raise ValueError(
            f"batch.classes: expected at most the {available} classes that there are to train on, "
            f"got {config.batch.classes}"
        )
    with blame_setting("batch"):
        sampler = ClassBalancedBatchSampler(
            dataset.labels, config.batch.classes, config.batch.samples, config.seed
        )
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=config.data.workers,
        pin_memory=torch.cuda.is_available(),
    )
    return loader, sampler


def build_embedder(config: ExperimentConfig, pretrained: bool = True) -> Embedder:
    """Backbone and linear map.

    Args:
        config: The experiment.
        pretrained: Whether to start from the backbone's pretrained weights where it has some;
            false where other weights will be loaded.
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
    """The metric loss; one with proxies is told the sizes it needs."""
    with blame_setting("loss.name"):
        loss = LOSSES.find(config.loss.name)
    takes = inspect.signature(loss).parameters
    dim = config.embedder.dim
    sizes = {"num_classes": num_classes, "embedding_dim": dim, "embedding_size": dim}
    args = {name: size for name, size in sizes.items() if name in takes}
    with blame_setting("loss.args"):
        made = loss(**args | config.loss.args)
        _check_call(config.loss.name, made)
        return made


def _check_call(name: str, loss: nn.Module) -> None:
    """See that a loss of one's own can be called as ours."""
    signature = inspect.signature(loss.forward)
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise ValueError(
            f"Expected metric loss {name!r} with forward(embeddings, labels) "
            f"(got forward{signature})"
        ) from error


def build_generator(config: ExperimentConfig, num_classes: int) -> NegativeGenerator | None:
    """The negative generator, with each quirk as configured; None where there is none.

    The section's settings reach every generator that has a use for them; `args` are a generator's
    own and must be known to it.
    """
    section = config.generator
    if section is None:
        return None
    with blame_setting("generator.name"):
        generator = GENERATORS.find(section.name)
    _check_layers(section.graph)
    known = _known_arguments(generator)
    with blame_setting("generator.args"):
        check_arguments(f"generator {section.name!r}", section.args, known)
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


def _known_arguments(generator: type[nn.Module]) -> list[str]:
    """Names of the keyword arguments that a class or those it hands them on to take."""
    names: dict[str, None] = {}
    for kind in inspect.getmro(generator):
        if "__init__" not in vars(kind):
            continue
        parameters = list(inspect.signature(vars(kind)["__init__"]).parameters.values())
        # After self and the two sizes.
        named = [p for p in parameters[3:] if p.kind is p.POSITIONAL_OR_KEYWORD]
        named += [p for p in parameters if p.kind is p.KEYWORD_ONLY]
        names |= dict.fromkeys(p.name for p in named)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return list(names)


def build_optimizers(
    config: ExperimentConfig,
    embedder: Embedder,
    loss: nn.Module,
    generator: NegativeGenerator | None,
) -> Optimizers:
    """Up to three AdamW optimizers; the loss's own parameters are a group of the first."""
    section = config.optim
    lr = section.embedder.lr
    groups = [
        {"params": list(embedder.backbone.parameters()), "lr": lr},
        {"params": list(embedder.fc.parameters()), "lr": lr * section.embedder.fc_lr_ratio},
    ]
    if any(True for _ in loss.parameters()):
        groups.append({"params": list(loss.parameters()), "lr": config.loss.lr or lr})
    metric = _adamw(groups, lr, section.embedder.weight_decay)
    heads = [] if generator is None else list(generator.head_parameters())
    graph = _adamw(heads, section.graph.lr, section.graph.weight_decay) if heads else None
    if generator is None or not generator.has_generator_losses:
        return Optimizers(metric, graph)
    classifier = section.classifier
    judge = _adamw(generator.classifier_parameters(), classifier.lr, classifier.weight_decay)
    return Optimizers(metric, graph, judge)


def _adamw(parameters: Any, lr: float, weight_decay: float) -> Optimizer:
    return AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)


def build_schedules(
    config: ExperimentConfig, optimizers: Optimizers
) -> list[lr_scheduler.LRScheduler]:
    """One learning-rate schedule, stepped per epoch, for each optimizer there is."""
    section = config.optim
    pairs = (
        (optimizers.embedder, section.embedder.schedule),
        (optimizers.graph, section.graph.schedule),
        (optimizers.classifier, section.classifier.schedule),
    )
    return [
        _schedule(optimizer, schedule, config.train.epochs)
        for optimizer, schedule in pairs
        if optimizer is not None
    ]


def _schedule(
    optimizer: Optimizer, schedule: ScheduleConfig, epochs: int
) -> lr_scheduler.LRScheduler:
    match schedule.name:
        case "step":
            return lr_scheduler.StepLR(optimizer, schedule.every, schedule.gamma)
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        case "exponential":
            return lr_scheduler.ExponentialLR(optimizer, schedule.gamma)
        case _:
            return lr_scheduler.ConstantLR(optimizer, factor=1.0)
