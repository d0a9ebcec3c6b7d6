"""One of the processes that `gcahng benchmark --processes` starts: measures alone and together.

Process 0 computes the whole batch alone while the others wait, then all compute it together, in
turn, so that a machine that slows down affects both equally.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import distributed as dist

from gcahng.benchmark.measure import CPU, Times, Work, peak_mib, time_once
from gcahng.benchmark.workers import Job, work
from gcahng.benchmark.workloads import (
    SMALL,
    Shape,
    Variant,
    exact_losses,
    hard_negatives,
    training_step,
)
from gcahng.processes import TRAFFIC, alone, rank, world_size

_graph_part = partial(hard_negatives, keep_gradients=False)
# What the table calls each part, and what it computes.
STEP = "whole step"
PARTS: dict[str, tuple[Callable[..., Work], str]] = {
    "graph part, balanced": (_graph_part, "balanced"),
    "graph part, low": (_graph_part, "low"),
    STEP: (training_step, "balanced"),
}
WAYS = ("alone", "together")


def measure(job: Job) -> dict[str, Any]:
    """Measure all parts on each shape.

    Returns:
        By shape and part: wall-clock and CPU seconds of each repetition and peak MiB, `alone` (on
        process 0) and `together`, and the bytes sent in one repetition. Also the `losses` of a
        small batch in float64, alone and this process's shares.
    """
    shapes = {name: Shape(**sizes) for name, sizes in job["shapes"].items()}
    rows = {
        name: {part: _measure(shape, part, job["repetitions"]) for part in PARTS}
        for name, shape in shapes.items()
    }
    variant = Variant("", "off")
    together = exact_losses(SMALL, variant)
    with alone():
        return {
            "rows": rows,
            "losses": {"alone": exact_losses(SMALL, variant), "together": together},
        }


def _measure(shape: Shape, part: str, repetitions: int) -> dict[str, Any]:
    make, memory = PARTS[part]
    # Two sets of networks: each way of computing changes the weights of its own.
    variant = Variant(part, "off", memory=memory)
    works = {name: make(shape, variant, CPU) for name in _ways()}
    found: dict[str, Any] = {name: {"seconds": [], "cpu": []} for name in works}
    for repetition in range(repetitions + 1):
        for name in WAYS:
            _wait_for_all()
            if name not in works:
                continue
            TRAFFIC.clear()
            times = _time(works[name], name)
            if repetition:  # the first is the warm-up
                found[name]["seconds"].append(times.seconds)
                found[name]["cpu"].append(times.cpu)
    found["bytes"], found["exchanges"] = dict(TRAFFIC.bytes), TRAFFIC.exchanges
    if make is _graph_part:
        for name in works:
            with _way(name):
                found[name]["mib"] = peak_mib(hard_negatives(shape, variant, CPU), CPU)
    return found


def _ways() -> list[str]:
    """The ways of computing that this process takes part in."""
    first = ["alone"] if rank() == 0 else []
    return [*first, "together"] if world_size() > 1 else first


def _way(name: str) -> AbstractContextManager[None]:
    return alone() if name == "alone" else nullcontext()


def _wait_for_all() -> None:
    if world_size() > 1:
        dist.barrier()


def _time(run: Work, name: str) -> Times:
    # All processes have the same random numbers, as they have in a training.
    torch.manual_seed(0)
    with _way(name):
        return time_once(run)


if __name__ == "__main__":
    work(measure)
