"""One of the processes that `gcahng benchmark --processes` starts: measures alone and together.

Process 0 computes the whole batch alone while the others wait, then all compute it together, in
turn, so that a machine that slows down affects both equally.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import distributed as dist

from gcahng.benchmark.measure import CPU, Work, peak_mib, time_once
from gcahng.benchmark.workers import Job, work
from gcahng.benchmark.workloads import (
    SMALL,
    Shape,
    Variant,
    exact_losses,
    hard_negatives,
    training_step,
)
from gcahng.processes import TRAFFIC, Group, all_processes, rank

_graph_part = partial(hard_negatives, keep_gradients=False)
# What the table calls each part, and what it computes.
STEP = "whole step"
PARTS: dict[str, tuple[Callable[..., Work], str]] = {
    "graph part, balanced": (_graph_part, "balanced"),
    "graph part, low": (_graph_part, "low"),
    STEP: (training_step, "balanced"),
}
ALONE, TOGETHER = "alone", "together"


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
    losses = {
        ALONE: exact_losses(SMALL, variant),
        TOGETHER: exact_losses(SMALL, variant, all_processes()),
    }
    return {"rows": rows, "losses": losses}


def _measure(shape: Shape, part: str, repetitions: int) -> dict[str, Any]:
    make, memory = PARTS[part]
    # Two sets of networks: each way of computing changes the weights of its own.
    variant = Variant(part, "off", memory=memory)
    groups = _groups()
    works = {name: make(shape, variant, CPU, group=group) for name, group in groups.items()}
    found: dict[str, Any] = {name: {"seconds": [], "cpu": []} for name in works}
    for repetition in range(repetitions + 1):
        for name in (ALONE, TOGETHER):
            _wait_for_all()
            if name not in works:
                continue
            TRAFFIC.clear()
            # All processes have the same random numbers, as they have in a training.
            torch.manual_seed(0)
            times = time_once(works[name])
            if repetition:  # the first is the warm-up
                found[name]["seconds"].append(times.seconds)
                found[name]["cpu"].append(times.cpu)
    found["bytes"], found["exchanges"] = dict(TRAFFIC.bytes), TRAFFIC.exchanges
    if make is _graph_part:
        for name, group in groups.items():
            run = hard_negatives(shape, variant, CPU, group=group)
            found[name]["mib"] = peak_mib(run, CPU)
    return found


def _groups() -> dict[str, Group]:
    """The ways of computing that this process takes part in, and with whom."""
    group = all_processes()
    first: dict[str, Group] = {ALONE: None} if rank(group) == 0 else {}
    return first if group is None else {**first, TOGETHER: group}


def _wait_for_all() -> None:
    if (group := all_processes()) is not None:
        dist.barrier(group)


if __name__ == "__main__":
    work(measure)
