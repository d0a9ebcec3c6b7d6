"""Time of a ResNet-50 training step on a GPU, with and without hard negatives."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn
from torch.optim import AdamW

from gcahng.benchmark.drawn_vectors import CLASS_SIZE, draw_vectors
from gcahng.benchmark.measure import MIB, Work, device_name, median_times, time_in_turn
from gcahng.benchmark.report import report_benchmark
from gcahng.benchmark.retrieval import KS, SPREAD
from gcahng.benchmark.workloads import SHAPES, Shape, Variant, build_generator
from gcahng.evaluation.retrieval import retrieval_metrics
from gcahng.graph import batch_layout
from gcahng.losses import NPairLoss
from gcahng.models import Embedder, ResNet50
from gcahng.registry import lookup
from gcahng.reports.tables import Column
from gcahng.training.cuda_graph import ReplayedPass
from gcahng.training.step import Autocast, Optimizers, TrainingStep

TITLE = "A ResNet-50 training step on a GPU"
IMAGE_SIZE = 224
EMBEDDINGS, DIM = 60_000, 512
PRECISIONS = ("float32", "tf32", "bfloat16")
COLUMNS = (
    Column("shape", "shape"),
    Column("precision", "precision"),
    *(
        Column(key, f"{title} ms", "number")
        for key, title in (
            ("embedder", "embedder"),
            ("metric", "metric loss"),
            ("eager", "hard negatives"),
            ("graph", "as CUDA graph"),
            ("alone", "step alone"),
            ("step", "step"),
            ("step_graph", "step, CUDA graph"),
        )
    ),
    Column("images_alone", "images/s alone", "integer"),
    Column("images", "images/s", "integer"),
    Column("share", "hard negatives %", "percent"),
    Column("mib", "peak MiB", "mib"),
)
NOTES = (
    "Milliseconds: medians of interleaved runs in one process, after a warm-up, on images that are "
    "on the GPU already. embedder, metric loss, hard negatives (both graph passes): forward and "
    "backward of each alone. step: the whole training step with three optimizers; alone: with the "
    "metric loss only. CUDA graph: with `fabric.cuda_graphs`; images/s and the last percentage "
    "are of this step: hard negatives % is what it takes longer than the step alone.",
    "float32: no TF32 in matrix products and convolutions; tf32: both; bfloat16: autocast, with "
    "TF32 in what stays in float32.",
)


def run_gpu(
    shapes: Sequence[str], repetitions: int, out: Path | None, console: Console
) -> list[dict[str, Any]]:
    """Measure the step on each shape and in each precision, and print one table.

    Args:
        shapes: Names in `SHAPES`.
        repetitions: Timed runs of each part.
        out: Folder for `gpu.md` and `gpu.csv`; None writes no files.
        console: Where to print.

    Returns:
        One row per shape and precision, keyed as in `COLUMNS`.

    Raises:
        ValueError: If a shape is unknown, or there is no CUDA device.
    """
    chosen = {name: lookup(SHAPES, name, "shape") for name in shapes}
    if not torch.cuda.is_available():
        raise ValueError("--gpu: torch finds no CUDA device on this machine")
    rows, device = [], torch.device("cuda")
    for name, shape in chosen.items():
        for precision in PRECISIONS:
            with _precision(precision):
                row = _measure(shape, precision, repetitions, device)
            rows.append({"shape": name, "precision": precision, **row})
            torch.cuda.empty_cache()
    notes = [
        f"{device_name(device)}, torch {torch.__version__}, CUDA {torch.version.cuda}, "
        f"{repetitions} repetitions; images of {IMAGE_SIZE}×{IMAGE_SIZE}.",
        *(f"{name}: {shape}." for name, shape in chosen.items()),
        f"Retrieval metrics of {EMBEDDINGS:,} embeddings of {DIM} channels that are on the GPU: "
        f"{_retrieval_seconds(repetitions, device):.2f} s.",
        *NOTES,
    ]
    report_benchmark(console, out, "gpu", TITLE, rows, COLUMNS, notes)
    return rows


@contextmanager
def _precision(name: str) -> Iterator[None]:
    """Allow or forbid TF32 within the block."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = name != "float32"
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def _retrieval_seconds(repetitions: int, device: torch.device) -> float:
    """Median seconds of the retrieval metrics."""
    embeddings = draw_vectors(EMBEDDINGS, DIM, SPREAD).to(device)
    labels = torch.arange(EMBEDDINGS, device=device) % (EMBEDDINGS // CLASS_SIZE)

    def run() -> None:
        retrieval_metrics(embeddings, labels, KS)

    return median_times(time_in_turn({"retrieval": run}, repetitions, device)["retrieval"]).seconds


def _measure(
    shape: Shape, precision: str, repetitions: int, device: torch.device
) -> dict[str, Any]:
    autocast: Autocast = nullcontext
    if precision == "bfloat16":
        autocast = partial(torch.autocast, "cuda", torch.bfloat16)
    steps = {
        "alone": _step(shape, device, autocast, negatives=False),
        "step": _step(shape, device, autocast),
        "step_graph": _step(shape, device, autocast, graphs=True),
    }
    images = torch.rand(shape.nodes, 3, IMAGE_SIZE, IMAGE_SIZE, device=device)
    labels = torch.arange(shape.classes).repeat(shape.samples)
    parts = _parts(steps["step"], shape, images, labels, autocast)
    whole = {name: partial(_take, step, images, labels) for name, step in steps.items()}
    times = time_in_turn({**parts, **whole}, repetitions, device)
    seconds = {name: median_times(found).seconds for name, found in times.items()}
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    steps["step"](images, labels)
    peak = torch.cuda.max_memory_allocated(device) - before
    return {
        **{name: 1000 * value for name, value in seconds.items()},
        "images_alone": round(shape.nodes / seconds["alone"]),
        "images": round(shape.nodes / seconds["step_graph"]),
        "share": seconds["step_graph"] / seconds["alone"] - 1,
        "mib": peak / MIB,
    }


def _step(
    shape: Shape,
    device: torch.device,
    autocast: Autocast,
    negatives: bool = True,
    graphs: bool = False,
) -> TrainingStep:
    torch.manual_seed(0)
    with device:
        backbone = ResNet50(pretrained=False)
        embedder = Embedder(backbone, shape.dim, freeze=["bn", "bn_affine"]).train()
    generator = build_generator(shape, Variant("", "off"), device) if negatives else None
    parts = [embedder] if generator is None else [embedder, generator.graph, generator.classifier]
    optimizers = Optimizers(*(AdamW(part.parameters(), lr=1e-5, fused=True) for part in parts))
    return TrainingStep(
        embedder, NPairLoss(), generator, optimizers, autocast=autocast, cuda_graphs=graphs
    )


def _parts(
    step: TrainingStep,
    shape: Shape,
    images: torch.Tensor,
    labels: torch.Tensor,
    autocast: Autocast,
) -> dict[str, Work]:
    """Forward and backward of each part alone."""
    generator = step.generator
    assert generator is not None
    embeddings = 0.5 * torch.randn(shape.nodes, shape.dim, device=images.device)
    layout, classes = batch_layout(labels).to(images.device), labels.to(images.device)
    passes = (generator, generator.generator_losses)
    methods = ("forward", "generator_losses")
    recorded = [ReplayedPass(generator, method, autocast) for method in methods]

    def differentiate(compute: Callable[[], torch.Tensor], module: nn.Module) -> None:
        module.zero_grad(set_to_none=True)
        with autocast():
            loss = compute()
        loss.backward()

    def negatives(computes: Sequence[Callable[..., Any]]) -> None:
        given = (embeddings.requires_grad_(), embeddings.detach())
        for compute, inputs in zip(computes, given, strict=True):
            differentiate(
                lambda c=compute, i=inputs: c(i, classes, layout=layout).total,  # type: ignore[misc]
                generator,
            )
        embeddings.grad = None

    return {
        "embedder": lambda: differentiate(lambda: step.embedder(images).sum(), step.embedder),
        "metric": lambda: differentiate(
            lambda: step.metric_loss(embeddings.requires_grad_(), classes, layout=layout),
            step.metric_loss,
        ),
        "eager": lambda: negatives(passes),
        "graph": lambda: negatives(recorded),
    }


def _take(step: TrainingStep, images: torch.Tensor, labels: torch.Tensor) -> None:
    step(images, labels)
