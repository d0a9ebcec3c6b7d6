"""The three optimizers of a training and their learning-rate schedules."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer, lr_scheduler

from gcahng.config import ExperimentConfig
from gcahng.config.sections import ScheduleConfig
from gcahng.generators import NegativeGenerator
from gcahng.models import Embedder


@dataclass(frozen=True)
class Optimizers:
    """The three optimizers; None where nothing is to be trained.

    Attributes:
        embedder: Backbone, fc and the metric loss's own parameters (proxies).
        graph: The correlation network.
        classifier: The linear classifier on embeddings.
    """

    embedder: Optimizer
    graph: Optimizer | None = None
    classifier: Optimizer | None = None

    def __iter__(self) -> Iterator[Optimizer]:
        """The optimizers there are, in this order."""
        all_three = (self.embedder, self.graph, self.classifier)
        return (optimizer for optimizer in all_three if optimizer is not None)


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
