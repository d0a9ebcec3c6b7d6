"""What the benchmark measures: sizes, variants, and their work on a fixed batch."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from gcahng.benchmark.measure import Work
from gcahng.generators import HardNegativeGenerator, NegativeGenerator
from gcahng.graph import batch_layout
from gcahng.losses import NPairLoss
from gcahng.processes import Group, own_part
from gcahng.training.step import Optimizers, TrainingStep


@dataclass(frozen=True)
class Shape:
    """Size of a batch and of the graph network.

    Attributes:
        classes: S, classes in the batch.
        samples: P, samples of each class.
        dim: D, channels of an embedding.
        layers: Graph layers.
        heads: Heads of the node attention; the edge attention has one, as published.
        reference: Whether message passing is measured too; it needs memory for (S·P)² edges.
        training_classes: Outputs of the classifiers; None: twice the classes in the batch.
    """

    classes: int
    samples: int
    dim: int
    layers: int
    heads: int
    reference: bool = True
    training_classes: int | None = None

    @property
    def nodes(self) -> int:
        """B, the number of nodes."""
        return self.classes * self.samples

    @property
    def pairs(self) -> int:
        """M, the number of pairs i ≤ j."""
        return self.nodes * (self.nodes + 1) // 2

    def __str__(self) -> str:
        return (
            f"{self.classes} classes × {self.samples}, D = {self.dim}, "
            f"layers = {self.layers}, heads = {self.heads}, {self.outputs} training classes"
        )

    @property
    def outputs(self) -> int:
        """C, the number of outputs of the classifiers."""
        return self.training_classes or 2 * self.classes


# With the training classes of CUB-200-2011, Stanford Online Products and In-Shop.
SHAPES = {
    "A": Shape(27, 3, 512, 2, 4, training_classes=100),
    "B": Shape(40, 2, 512, 1, 2, training_classes=11_318),
    # Message passing over the edges of 360 nodes would take about 25 s and 6.5 GiB, going by B.
    "C": Shape(120, 3, 384, 1, 4, reference=False, training_classes=3_997),
}
SMALL = Shape(4, 3, 16, 2, 2)


@dataclass(frozen=True)
class Variant:
    """One way to compute the hard-negative part of a training step.

    Attributes:
        title: In the table.
        dropout: Dropout of the edges: `off` or `independent`.
        path: `dense` or `sparse` (message passing).
        memory: Memory mode of the dense path.
        bfloat16: Compute in bfloat16 autocast, which is inexact.
    """

    title: str
    dropout: str
    path: str = "dense"
    memory: str = "auto"
    bfloat16: bool = False


VARIANTS = (
    Variant("message passing, as published", "independent", "sparse"),
    Variant("dense, distinct edges, balanced", "independent", memory="balanced"),
    Variant("dense, distinct edges, low", "independent", memory="low"),
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
    r"""Least number of floating-point operations for the linear maps of both passes.

    Counted in D² multiply-adds, a layer needs 9 per pair i ≤ j (1 from edges to nodes, 8 in the
    feed-forward) and 16 per node. Backward takes twice as many, except where no gradient is needed:
    the last edge update and the head in the metric pass, the first edges in the generator pass.
    The classifier of the negatives is fixed: it takes 2 D·C for each. Attention between nodes and
    interpolation add about 1 % and are not counted.
    """
    layers = shape.layers
    forward = 9 * layers + 1
    metric = 2 * layers + 16 * (layers - 1)
    generated = 16 * layers + 2 * layers - 1 + 2
    per_pair = 2 * forward + metric + generated
    negatives = shape.nodes * shape.classes
    classified = 2.0 * 2 * negatives * shape.dim * shape.outputs
    return 2.0 * shape.dim**2 * shape.pairs * per_pair + classified + node_flops(shape)


def node_flops(shape: Shape) -> float:
    """The part of `matmul_flops` for nodes; the rest is for pairs and negatives."""
    layers = shape.layers
    # Of a layer's 16 maps of the nodes, 4 belong to the edge update.
    first = 16 * layers + 1 + 16 * layers - 4 + 1
    per_node = 2 * first + 2 * 16 * layers + 1
    return 2.0 * shape.dim * shape.nodes * (shape.dim * per_node + 3 * shape.outputs)


def build_generator(shape: Shape, variant: Variant, device: torch.device) -> HardNegativeGenerator:
    """The generator of a variant, the same each time."""
    torch.manual_seed(0)
    graph: Any = {"layers": shape.layers, "heads": shape.heads, "edge_heads": 1}
    graph |= {"edge_dropout": variant.dropout, "path": variant.path, "memory": variant.memory}
    generator = HardNegativeGenerator(
        shape.dim,
        shape.outputs,
        graph=graph,
    ).to(device)
    # Values as after some epochs, so that the synthetic term has weight.
    generator.hardness.metric.fill_(2.0)
    generator.hardness.generator.fill_(5.0)
    return generator


def hard_negatives(
    shape: Shape,
    variant: Variant,
    device: torch.device,
    keep_gradients: bool = True,
    generator: HardNegativeGenerator | None = None,
    group: Group = None,
) -> Work:
    """Forward and backward of both generator passes on a fixed batch.

    `keep_gradients` keeps the gradients of the parameters allocated, so that the peak memory does
    not depend on when they are made. A training does not keep them, which is faster. The default
    generator is that of the variant. The processes of a `group` share the graph.
    """
    generator = generator or build_generator(shape, variant, device)
    embeddings = torch.randn(shape.nodes, shape.dim, device=device)
    labels = torch.arange(shape.classes).repeat(shape.samples).to(device)
    embeddings.mul_(0.5).requires_grad_()
    autocast = partial(torch.autocast, device.type, torch.bfloat16, enabled=variant.bfloat16)

    def run() -> None:
        generator.zero_grad(set_to_none=not keep_gradients)
        differentiate(generator, embeddings, labels, autocast, group)

    return run


def differentiate(
    generator: NegativeGenerator,
    embeddings: Tensor,
    labels: Tensor,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    group: Group = None,
) -> None:
    """Forward and backward of both generator passes, as in a training step."""
    layout = batch_layout(labels, group)
    with autocast():
        made = generator(embeddings, labels, layout=layout)
    total = made.total
    del made
    if total.requires_grad:
        total.backward()
    if not generator.has_generator_losses:
        return
    with autocast():
        made = generator.generator_losses(embeddings.detach(), labels, layout=layout)
    total = made.total
    del made
    trained = [p for p in generator.head_parameters() if p.requires_grad]
    total.backward(inputs=trained)


def training_step(
    shape: Shape, variant: Variant, device: torch.device, group: Group = None
) -> Work:
    """A whole training step with three optimizers; the embedder is a linear map of 32 inputs."""
    generator = build_generator(shape, variant, device)
    embedder = nn.Linear(32, shape.dim).to(device)
    parts = (embedder, generator.graph, generator.classifier)
    optimizers = Optimizers(*(AdamW(part.parameters(), lr=1e-4, fused=True) for part in parts))
    step = TrainingStep(embedder, NPairLoss(), generator, optimizers, group=group)
    images = torch.randn(shape.nodes, 32, device=device)
    labels = torch.arange(shape.classes).repeat(shape.samples)

    def run() -> None:
        step(images[own_part(len(labels), group)], labels)

    return run


def exact_losses(shape: Shape, variant: Variant, group: Group = None) -> list[float]:
    """The losses of both passes in float64."""
    generator = build_generator(shape, variant, torch.device("cpu")).double()
    embeddings = torch.randn(shape.nodes, shape.dim, dtype=torch.float64)
    labels = torch.arange(shape.classes).repeat(shape.samples)
    layout = batch_layout(labels, group)
    passes = generator, generator.generator_losses
    made = [compute(embeddings, labels, layout=layout) for compute in passes]
    return [loss.item() for result in made for loss in result.losses.values()]
