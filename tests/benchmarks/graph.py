"""Time and memory of the hard negatives: by path, and by number of processes.

python -m tests.benchmarks.graph paths      # docs/results/benchmark.md and .csv
python -m tests.benchmarks.graph processes  # docs/results/processes.md and .csv
"""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import typer
from torch import distributed as dist
from torch import multiprocessing, nn
from torch.optim import AdamW

from gcahng.graph import batch_layout
from gcahng.losses import NPairLoss
from gcahng.processes import Group, all_processes, own_part, rank
from gcahng.training.measure_step import (
    differentiate_negatives,
    median_ratio,
    median_times,
    tensor_peak_mib,
    time_in_turn,
)
from gcahng.training.optimizers import Optimizers
from gcahng.training.step import TrainingStep
from tests.benchmarks.common import (
    CPU,
    SHAPES,
    Out,
    Rows,
    Shape,
    build_generator,
    report,
)

app = typer.Typer(add_completion=False)
Work = Callable[[], object]

DENSE, INDEPENDENT = {"memory": "balanced"}, {"edge_dropout": "independent"}
VARIANTS: dict[str, Mapping[str, str]] = {
    "message passing, as published": {"path": "sparse", **INDEPENDENT},
    "dense, distinct edges, balanced": {**DENSE, **INDEPENDENT},
    "dense, distinct edges, low": {"memory": "low", **INDEPENDENT},
    "message passing": {"path": "sparse"},
    "dense, balanced": DENSE,
    "dense, low": {"memory": "low"},
    "dense, balanced, bfloat16 autocast (inexact)": DENSE,
    "whole step, message passing": {"path": "sparse"},
    "whole step, dense": DENSE,
}
# Message passing over more edges would take gigabytes: about 6.5 GiB for C, going by B.
MOST_NODES = 100


@app.command()
def paths(shapes: str = "A,B,C", repetitions: int = 7, threads: int = 1, out: Path = Out) -> None:
    """Compare the dense path with message passing over all edges."""
    torch.set_num_threads(threads)
    rows: Rows = []
    for name in shapes.split(","):
        rows += [{"shape": name, **row} for row in _compare(SHAPES[name], repetitions)]
    report("benchmark", rows, out)


def _compare(shape: Shape, repetitions: int) -> Rows:
    """The rows of one shape."""
    variants = {
        title: settings
        for title, settings in VARIANTS.items()
        if shape.nodes <= MOST_NODES or settings.get("path") != "sparse"
    }
    work: dict[str, Work] = {}
    for title, settings in variants.items():
        make = training_step if "whole step" in title else hard_negatives
        work[title] = make(shape, settings, bfloat16="bfloat16" in title)
    times, rows = time_in_turn(work, repetitions, CPU), []
    for title, settings in variants.items():
        row: dict[str, Any] = {"variant": title, "dropout": settings.get("edge_dropout", "off")}
        row |= median_times(times[title])._asdict()
        if "whole step" not in title:
            row["mib"] = tensor_peak_mib(work[title], CPU)
        rows.append(row)
        scope = [one for one in rows if ("whole step" in one["variant"]) == ("mib" not in row)]
        first = next(one for one in scope if one["dropout"] == row["dropout"])
        if "message passing" in first["variant"]:
            row["speedup"] = median_ratio(times[first["variant"]], times[title], CPU)
            row["leaner"] = first["mib"] / row["mib"] if "mib" in row else None
    return rows


def hard_negatives(
    shape: Shape,
    settings: Mapping[str, str],
    group: Group = None,
    bfloat16: bool = False,
    keep_gradients: bool = True,
) -> Work:
    """Forward and backward of both generator passes on a fixed batch.

    Gradients are kept allocated, so that the peak memory does not depend on when they are made. A
    training does not keep them, which is faster.
    """
    generator = build_generator(shape, CPU, **settings)
    embeddings = torch.randn(shape.nodes, shape.dim).mul_(0.5).requires_grad_()
    labels = torch.arange(shape.classes).repeat(shape.samples)
    layout = batch_layout(labels, group)
    autocast: Any = partial(torch.autocast, "cpu", torch.bfloat16) if bfloat16 else nullcontext

    def run() -> None:
        generator.zero_grad(set_to_none=not keep_gradients)
        differentiate_negatives(generator, embeddings, labels, layout, autocast)

    return run


def training_step(shape: Shape, settings: Mapping[str, str], group: Group = None, **_: Any) -> Work:
    """A whole training step with three optimizers; the embedder is a linear map of 32 inputs."""
    generator = build_generator(shape, CPU, **settings)
    embedder = nn.Linear(32, shape.dim)
    parts = (embedder, generator.graph, generator.classifier)
    optimizers = Optimizers(*(AdamW(part.parameters(), lr=1e-4, fused=True) for part in parts))
    step = TrainingStep(embedder, NPairLoss(), generator, optimizers, group=group)
    images = torch.randn(shape.nodes, 32)
    labels = torch.arange(shape.classes).repeat(shape.samples)
    return lambda: step(images[own_part(len(labels), group)], labels)


graph_part = partial(hard_negatives, keep_gradients=False)
PARTS: dict[str, tuple[Callable[..., Work], Mapping[str, str]]] = {
    "graph part, balanced": (graph_part, {"memory": "balanced"}),
    "graph part, low": (graph_part, {"memory": "low"}),
    "whole step": (training_step, {"memory": "balanced"}),
}


@app.command()
def processes(
    shapes: str = "A,C", count: int = 2, repetitions: int = 3, threads: int = 1, out: Path = Out
) -> None:
    """Compare one process with several that share a batch."""
    names, rows = shapes.split(","), []
    found = run_processes(measure_both, count, threads, names, repetitions)
    for name in names:
        for part in PARTS:
            rows += _sides(name, part, [one[name, part] for one in found])
    report("processes", rows, out)


def measure_both(names: list[str], repetitions: int) -> dict[Any, Any]:
    """In each process: measure the parts alone, on process 0, and together."""
    group, found = all_processes(), {}
    groups = {"alone": None, "together": group} if rank(group) == 0 else {"together": group}
    for name in names:
        for part, (make, settings) in PARTS.items():
            # Two sets of networks: each way of computing changes the weights of its own.
            works = {key: make(SHAPES[name], settings, one) for key, one in groups.items()}
            one: dict[str, Any] = {"alone": [], "together": []}
            for repetition in range(repetitions + 1):
                for key in ("alone", "together"):
                    dist.barrier(group)
                    if key in works:
                        times = _time(works[key])
                        one[key] += [times] if repetition else []  # the first is the warm-up
            if make is graph_part:
                for key, several in groups.items():
                    run = hard_negatives(SHAPES[name], settings, several)
                    run()
                    one[f"{key} MiB"] = tensor_peak_mib(run, CPU)
            found[name, part] = one
    return found


def _time(run: Work) -> Any:
    torch.manual_seed(0)  # the same random numbers in all processes, as in a training
    return time_in_turn({0: run}, 1, CPU, warm_up=False)[0][0]


def _sides(shape: str, part: str, found: Rows) -> Rows:
    """The row of one process and that of several."""
    alone, key = found[0]["alone"], {"shape": shape, "part": part}
    slowest = _slowest([one["together"] for one in found])
    one: dict[str, Any] = {**key, "processes": 1, "speedup": 1, "work": 1}
    many: dict[str, Any] = {**key, "processes": len(found)}
    for place, (name, ratio) in enumerate((("seconds", "speedup"), ("cpu", "work"))):
        one[name] = median(times[place] for times in alone)
        many[name] = median(times[place] for times in slowest)
        pairs = zip(alone, slowest, strict=True)
        many[ratio] = median(single[place] / several[place] for single, several in pairs)
    if "alone MiB" in found[0]:
        one |= {"mib": found[0]["alone MiB"], "share": 1}
        many["mib"] = max(process["together MiB"] for process in found)
        many["share"] = many["mib"] / one["mib"]
    return [one, many]


def _slowest(times: list[Any]) -> list[list[float]]:
    """Largest seconds and CPU seconds over the processes, of each repetition."""
    return [[max(one) for one in zip(*rounds, strict=True)] for rounds in zip(*times, strict=True)]


def run_processes(measure: Callable[..., Any], count: int, threads: int, *job: Any) -> list[Any]:
    """Run `measure(*job)` in new processes that form one group; return what each found."""
    queue = multiprocessing.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(_work, (measure, count, job, threads, folder, queue), nprocs=count)
    return [found for _, found in sorted((queue.get() for _ in range(count)), key=lambda it: it[0])]


def _work(
    number: int, measure: Any, count: int, job: Any, threads: int, folder: str, queue: Any
) -> None:
    torch.set_num_threads(threads)
    if count > 1:
        store, wait = Path(folder, "store").as_uri(), timedelta(hours=6)
        dist.init_process_group("gloo", store, wait, world_size=count, rank=number)
    queue.put((number, measure(*job)))
    if count > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    app()
