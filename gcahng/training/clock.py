"""Seconds of training."""

import time
from collections.abc import Callable
from typing import TypeVar

import torch

from gcahng.processes import Group, from_first

T = TypeVar("T")


def timed(work: Callable[[], T], device: torch.device) -> tuple[float, T]:
    """Wall seconds that a function takes, a device's part included, and its result.

    Example:
        >>> timed(lambda: 3, torch.device("cpu"))[1]
        3
    """
    _synchronize(device)
    start = time.perf_counter()
    result = work()
    _synchronize(device)
    return time.perf_counter() - start, result


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class WorkClock:
    """Measure the work of training.

    On a CPU, work is the CPU time of this process over all its threads. Other programs on the
    machine prolong the wall time much more than the CPU time, so trainings are compared by their
    work. On a GPU work is the wall time: the CPU time would not include the GPU.

    Args:
        device: Where the training runs.
        seconds: Seconds so far.
    """

    def __init__(self, device: torch.device, seconds: float = 0.0) -> None:
        self._now = time.process_time if device.type == "cpu" else time.perf_counter
        self.seconds = seconds

    def start(self) -> None:
        """Begin to measure."""
        self._began = self._now()

    def stop(self) -> None:
        """Add the time since `start` to the sum."""
        self.seconds += self._now() - self._began

    def follow_first(self, group: Group) -> None:
        """Copy the sum of process 0, so that all agree when the time is up."""
        self.seconds = from_first(self.seconds, group)
