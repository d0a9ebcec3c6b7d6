"""A small training step in double precision, whose parts tests put together."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from gcahng import HardNegativeGenerator
from gcahng.losses import NPairLoss
from gcahng.training.optimizers import Optimizers
from gcahng.training.step import TrainingStep
from tests.gcahng.flat import grouped
from tests.graph.oracle import assert_near

SAMPLES, SAMPLED, INPUTS, CHANNELS, CLASSES = 2, 3, 5, 8, 5
LR = {"embedder": 3e-3, "graph": 2e-3, "classifier": 1e-2}


def embedder() -> nn.Sequential:
    # No bias before the BatchNorm: its gradient would be rounding noise, which AdamW magnifies.
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(INPUTS, 7, bias=False), nn.BatchNorm1d(7), nn.Tanh(), nn.Linear(7, CHANNELS)
    ).double()


def generator(**args: Any) -> HardNegativeGenerator:
    """Every parameter away from 0, where AdamW would magnify rounding, and the means set."""
    torch.manual_seed(1)
    args = {"heads": 2, "layers": 1, "edge_dropout": "off", **args}
    made = HardNegativeGenerator(CHANNELS, CLASSES, **grouped(args)).double()
    for parameter in made.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter), alpha=0.2)
    made.hardness.metric.fill_(3.0)
    made.hardness.generator.fill_(15.0)
    return made


def adamw(net: nn.Module, made: HardNegativeGenerator) -> Optimizers:
    return Optimizers(
        AdamW(net.parameters(), lr=LR["embedder"], weight_decay=1e-4),
        AdamW(made.graph.parameters(), lr=LR["graph"], weight_decay=1e-4),
        AdamW(made.classifier.parameters(), lr=LR["classifier"], weight_decay=0.01),
    )


def make(net: nn.Module, made: HardNegativeGenerator, **args: Any) -> TrainingStep:
    return TrainingStep(net, NPairLoss(), made, adamw(net, made), **args)


def batch(number: int = 0) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    torch.manual_seed(10 + number)
    images = torch.randn(SAMPLES * SAMPLED, INPUTS, dtype=torch.float64)
    labels = torch.randperm(CLASSES)[:SAMPLED].repeat(SAMPLES)
    draws = torch.rand(2, SAMPLES, SAMPLES - 1, dtype=torch.float64)
    return images, labels, (draws[0], draws[1])


def assert_same_steps(
    settings: dict[str, Any], mixed: bool, device: str = "cpu", **how: bool
) -> None:
    """Three steps with the passes compiled or replayed equal those with the passes as they are."""
    found = []
    for chosen in ({}, how):
        net, made = embedder().to(device), generator(**settings).to(device)
        if mixed:
            net, made = net.float(), made.float()
        autocast = partial(torch.autocast, device, torch.bfloat16, enabled=mixed)
        step = make(net, made, autocast=autocast, **chosen)
        measured = []
        for number in range(3):
            images, labels, _ = batch(number)
            torch.manual_seed(number)
            losses = step(images.to(device, next(net.parameters()).dtype), labels)
            measured.append({name: float(loss) for name, loss in losses.items()})
        found.append((net, made, measured))
    (net, made, expected), (other, remade, measured) = found
    close = 5e-2 if mixed else 1e-12 if device == "cpu" else 1e-10
    for ours, theirs in zip(measured, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=close)
    if not mixed:
        assert_same_state(other, net)
        assert_same_state(remade, made)


def assert_same_state(ours: nn.Module, expected: nn.Module, bound: float = 1e-10) -> None:
    for name, value in expected.state_dict().items():
        assert_near(name, ours.state_dict()[name].double(), value.double(), bound)


def all_gradients(parameters: Any) -> Tensor:
    return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
