"""What the benchmark measures: sizes, variants, and the work they do on a fixed batch."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import AdamW

from gcahng.benchmark.measure import Work
from gcahng.generators import HardNegativeGenerator
from gcahng.losses import NPairLoss
from gcahng.training.step import Optimizers, TrainingStep


@dataclass(frozen=True)
class Shape:
    """Size of a batch and of the network on it.

    Attributes:
        classes: S, sampled classes.
        samples: P, samples of each.
        dim: D.
        layers: Graph layers.
        heads: Heads of the node attention; the edge attention has one, as published.
        reference: Whether the reference is measured too.
    """

    classes: int
    samples: int
    dim: int
    layers: int
    heads: int
    reference: bool = True

    def __str__(self) -> str:
        return (
            f"{self.classes} classes × {self.samples}, D = {self.dim}, "
            f"layers = {self.layers}, heads = {self.heads}"
        )


SHAPES = {
    "A": Shape(27, 3, 512, 2, 4),
    "B": Shape(40, 2, 512, 1, 2),
    # All edges of 360 nodes: by the figures of B, about 25 s a run and 6.5 GiB.
    "C": Shape(120, 3, 384, 1, 4, reference=False),
}
SMALL = Shape(4, 3, 16, 2, 2)


@dataclass(frozen=True)
class Variant:
    """One way to compute the hard negatives' part of a training step."""

    title: str
    dropout: str
    path: str = "dense"
    memory: str = "auto"
    bfloat16: bool = False


VARIANTS = (
    Variant("message passing, as published", "independent", "sparse"),
    Variant("message passing", "off", "sparse"),
    Variant("dense, balanced", "off", memory="balanced"),
    Variant("dense, low", "off", memory="low"),
    Variant(
        "dense, balanced, bfloat16 autocast (inexact)", "off", memory="balanced", bfloat16=True
    ),
)
STEPS = (
    Variant("whole step, message passing", "off", "sparse"),
    Variant("whole step, dense", "off"),
)


def matmul_flops(shape: Shape) -> float:
    r"""Multiplications and additions that the linear maps of both passes need at least.

    In D² multiply-adds, a layer needs 9 per pair i ≤ j (1 from edges to nodes, 8 in the
    feed-forward) and 16 per node; twice that backward, but nothing for what gets no gradient: the
    last edge update and the head in the metric pass, the first edges in the generator pass.
    Attention between nodes, interpolation and classifiers add a percent and are not counted.
    """
    nodes, layers = shape.classes * shape.samples, shape.layers
    pairs = nodes * (nodes + 1) // 2
    forward = 9 * layers + 1
    metric = 2 * layers + 16 * (layers - 1)
    generated = 16 * layers + 2 * layers - 1 + 2
    per_pair = 2 * forward + metric + generated
    # Of a layer's 16 maps of the nodes, 4 serve the edge update.
    per_node = 2 * (16 * layers + 1) + 2 * (16 * layers - 4 + 1) + 2 * 16 * layers + 1
    return 2.0 * shape.dim**2 * (pairs * per_pair + nodes * per_node)


def _generator(shape: Shape, variant: Variant, device: torch.device) -> HardNegativeGenerator:
    torch.manual_seed(0)
    generator = HardNegativeGenerator(
        shape.dim,
        2 * shape.classes,
        layers=shape.layers,
        heads=shape.heads,
        edge_heads=1,
        edge_dropout=variant.dropout,
        path=variant.path,  # type: ignore[arg-type]
        memory=variant.memory,
    ).to(device)
    # As after some epochs, so that the synthetic term has weight.
    generator.hardness.metric.fill_(2.0)
    generator.hardness.generator.fill_(5.0)
    return generator


def hard_negatives(shape: Shape, variant: Variant, device: torch.device) -> Work:
    """Both passes of the generator, forward and backward, on a fixed batch."""
    generator = _generator(shape, variant, device)
    embeddings = torch.randn(shape.classes * shape.samples, shape.dim, device=device)
    labels = torch.arange(shape.classes).repeat(shape.samples).to(device)
    embeddings.mul_(0.5).requires_grad_()

    def run() -> None:
        # Gradients stay where they are: their memory is no matter of the variant.
        generator.zero_grad(set_to_none=False)
        for compute in (generator, generator.generator_losses):
            with torch.autocast(device.type, torch.bfloat16, enabled=variant.bfloat16):
                total = compute(embeddings, labels).total
            total.backward()

    return run


def training_step(shape: Shape, variant: Variant, device: torch.device) -> Work:
    """A whole step of all three optimizers, the embedder a linear map of 32 numbers."""
    generator = _generator(shape, variant, device)
    embedder = nn.Linear(32, shape.dim).to(device)
    parts = (embedder, generator.graph, generator.classifier)
    optimizers = Optimizers(*(AdamW(part.parameters(), lr=1e-4, fused=True) for part in parts))
    step = TrainingStep(embedder, NPairLoss(), generator, optimizers)
    images = torch.randn(shape.classes * shape.samples, 32, device=device)
    labels = torch.arange(shape.classes).repeat(shape.samples)

    def run() -> None:
        step(images, labels)

    return run


def exact_losses(shape: Shape, variant: Variant) -> list[float]:
    """The losses of both passes in float64."""
    generator = _generator(shape, variant, torch.device("cpu")).double()
    embeddings = torch.randn(shape.classes * shape.samples, shape.dim, dtype=torch.float64)
    labels = torch.arange(shape.classes).repeat(shape.samples)
    negatives = generator(embeddings, labels), generator.generator_losses(embeddings, labels)
    return [loss.item() for result in negatives for loss in result.losses.values()]
