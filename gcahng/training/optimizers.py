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
    """The three optimizers; None for a part without trainable parameters."""

    embedder: Optimizer
    graph: Optimizer | None = None
    classifier: Optimizer | None = None

    def __iter__(self) -> Iterator[Optimizer]:
        """The optimizers that are not None, in this order."""
        return filter(None, vars(self).values())


def build_optimizers(
    config: ExperimentConfig,
    embedder: Embedder,
    loss: nn.Module,
    generator: NegativeGenerator | None,
) -> Optimizers:
    """Build up to three AdamW optimizers."""
    section = config.optim
    lr = section.embedder.lr
    groups = [{"params": list(embedder.fc.parameters()), "lr": lr * section.embedder.fc_lr_ratio}]
    if "backbone" not in config.embedder.freeze:
        groups.insert(0, {"params": list(embedder.backbone.parameters()), "lr": lr})
    if any(True for _ in loss.parameters()):
        groups.append({"params": list(loss.parameters()), "lr": config.loss.lr or lr})
    metric = _adamw(groups, section.embedder)
    heads = [] if generator is None else list(generator.head_parameters())
    graph = _adamw(heads, section.graph) if heads else None
    if generator is None or not generator.has_generator_losses:
        return Optimizers(metric, graph)
    return Optimizers(metric, graph, _adamw(generator.classifier_parameters(), section.classifier))


def _adamw(parameters: Any, section: Any) -> Optimizer:
    return AdamW(parameters, lr=section.lr, weight_decay=section.weight_decay, fused=True)


def build_schedules(
    config: ExperimentConfig, optimizers: Optimizers
) -> list[lr_scheduler.LRScheduler]:
    """Build a learning-rate schedule, stepped per epoch, for each optimizer that is not None."""
    return [
        _schedule(optimizer, getattr(config.optim, name).schedule, config.train.epochs)
        for name, optimizer in vars(optimizers).items()
        if optimizer is not None
    ]


def learning_rates(schedules: list[lr_scheduler.LRScheduler]) -> dict[str, float]:
    """The present rate of each optimizer's first group, for the history of a run."""
    pairs = zip(("embedder", "graph", "classifier"), schedules, strict=False)
    return {f"lr/{name}": float(schedule.get_last_lr()[0]) for name, schedule in pairs}


def _schedule(
    optimizer: Optimizer, schedule: ScheduleConfig, epochs: int
) -> lr_scheduler.LRScheduler:
    match schedule.name:
        case "step":
            return lr_scheduler.StepLR(optimizer, schedule.every, schedule.gamma)
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, max(epochs, 1))
        case _:
            return lr_scheduler.ConstantLR(optimizer, factor=1.0)
