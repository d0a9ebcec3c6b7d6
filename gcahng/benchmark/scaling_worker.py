"""One of the processes that `gcahng benchmark --nodes` starts for a batch size."""

from typing import Any

import torch
from torch import distributed as dist

from gcahng.benchmark.measure import time_once
from gcahng.benchmark.workers import Job, work
from gcahng.benchmark.workloads import Shape, Variant, build_generator, hard_negatives
from gcahng.processes import all_processes
from gcahng.training.peak_memory import peak_memory_mib, reset_peak_memory

WARM_UP_CLASSES = 4


def measure(job: Job) -> dict[str, Any]:
    """Measure the hard-negative part of one batch size.

    Returns:
        Wall-clock and CPU seconds of each repetition, and by how many MiB the first one raises the
        memory of this process (of a GPU: the memory allocated on it).
    """
    device, shape, group = torch.device(job["device"]), Shape(**job["shape"]), all_processes()
    variant = Variant("", "off", memory=job["memory"])
    generator = build_generator(shape, variant, device)
    # Load libraries and allocate the gradients.
    small = Shape(WARM_UP_CLASSES, 2, shape.dim, shape.layers, shape.heads)
    hard_negatives(small, variant, device, generator=generator, group=group)()
    run = hard_negatives(shape, variant, device, generator=generator, group=group)
    found: dict[str, Any] = {"seconds": [], "cpu": []}
    for repetition in range(job["repetitions"]):
        torch.manual_seed(0)
        if group is not None:
            dist.barrier(group)
        reset_peak_memory(device)
        before = peak_memory_mib(device)
        times = time_once(run, device)
        found["seconds"].append(times.seconds)
        found["cpu"].append(times.cpu)
        if repetition == 0:
            found["mib"] = peak_memory_mib(device) - before
    return found


if __name__ == "__main__":
    work(measure)
