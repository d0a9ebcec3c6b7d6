"""Time of a ResNet-50 training step on a GPU, with and without hard negatives.

python -m tests.benchmarks.gpu  # docs/results/gpu.md and .csv
"""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer
from torch.optim import AdamW

from gcahng.graph import batch_layout
from gcahng.losses import NPairLoss
from gcahng.models import Embedder, ResNet50
from gcahng.training.measure_step import (
    differentiate_negatives,
    median_times,
    tensor_peak_mib,
    time_in_turn,
)
from gcahng.training.optimizers import Optimizers
from gcahng.training.step import TrainingStep
from tests.benchmarks.common import SHAPES, Out, Shape, build_generator, report


def main(shapes: str = "A,B,C", repetitions: int = 7, out: Path = Out) -> None:
    """Measure the step on each shape and in each precision."""
    rows = []
    for name in shapes.split(","):
        for precision in ("float32", "tf32", "bfloat16"):
            allowed = precision != "float32"
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
            found = measure(SHAPES[name], precision, repetitions, torch.device("cuda"))
            rows.append({"shape": name, "precision": precision, **found})
            torch.cuda.empty_cache()
    report("gpu", rows, out)


def measure(
    shape: Shape, precision: str, repetitions: int, device: torch.device, size: int = 224
) -> dict[str, Any]:
    """Measure one shape in one precision."""
    autocast: Any = nullcontext
    if precision == "bfloat16":
        autocast = partial(torch.autocast, device.type, torch.bfloat16)
    images = torch.rand(shape.nodes, 3, size, size, device=device)
    labels = torch.arange(shape.classes).repeat(shape.samples)
    steps = {name: _step(shape, name, device, autocast) for name in ("alone", "step")}
    if device.type == "cuda":
        steps["step_graph"] = _step(shape, "step_graph", device, autocast)
    embedder, generator = steps["step"].embedder, steps["step"].generator
    layout, classes = batch_layout(labels).to(device), labels.to(device)
    embeddings = 0.5 * torch.randn(shape.nodes, shape.dim, device=device)

    def embed() -> None:
        embedder.zero_grad(set_to_none=True)
        with autocast():
            made = embedder(images)
        made.sum().backward()

    def negatives() -> None:
        generator.zero_grad(set_to_none=True)
        leaf = embeddings.detach().requires_grad_()
        differentiate_negatives(generator, leaf, classes, layout, autocast)

    whole = {name: partial(step, images, labels) for name, step in steps.items()}
    work = {"embedder": embed, "eager": negatives, **whole}
    times = time_in_turn(work, repetitions, device)
    seconds = {name: median_times(found).seconds for name, found in times.items()}
    last = seconds[list(steps)[-1]]
    return {
        **{name: 1000 * value for name, value in seconds.items()},
        "images_alone": round(shape.nodes / seconds["alone"]),
        "images": round(shape.nodes / last),
        "share": last / seconds["alone"] - 1,
        "mib": tensor_peak_mib(whole["step"], device),
    }


def _step(shape: Shape, name: str, device: torch.device, autocast: Any) -> TrainingStep:
    torch.manual_seed(0)
    embedder = Embedder(ResNet50(pretrained=False), shape.dim, freeze=["bn", "bn_affine"])
    embedder = embedder.to(device).train()
    generator = None if name == "alone" else build_generator(shape, device)
    parts = [embedder] if generator is None else [embedder, generator.graph, generator.classifier]
    optimizers = Optimizers(*(AdamW(part.parameters(), lr=1e-5, fused=True) for part in parts))
    graphs = name == "step_graph"
    return TrainingStep(
        embedder, NPairLoss(), generator, optimizers, autocast=autocast, cuda_graphs=graphs
    )


if __name__ == "__main__":
    typer.run(main)
