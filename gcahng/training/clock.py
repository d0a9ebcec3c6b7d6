"""Seconds of training, by the wall clock and by the work done."""

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
    """Measure the time of training, and its work.

    On a CPU, work is the CPU time of this process over all its threads. Other programs on the
    machine prolong the wall time much more than the CPU time, so two trainings are compared by
    their work. On a GPU work is the wall time: the CPU time would not include the GPU.

    Args:
        device: Where the training runs.
        seconds: Wall seconds so far.
        work_seconds: Work seconds so far; None if an earlier version, which did not measure them,
            began the training.
    """

    def __init__(
        self, device: torch.device, seconds: float = 0.0, work_seconds: float | None = 0.0
    ) -> None:
        self._work = time.process_time if device.type == "cpu" else time.perf_counter
        self.seconds, self.work_seconds = seconds, work_seconds

    def start(self) -> None:
        """Begin to measure."""
        self._began = time.perf_counter(), self._work()

    def stop(self) -> None:
        """Add the time since `start` to the sums."""
        wall, work = self._began
        self.seconds += time.perf_counter() - wall
        if self.work_seconds is not None:
            self.work_seconds += self._work() - work

    def follow_first(self, group: Group) -> None:
        """Take over the times of process 0, so that all agree when the time is up."""
        self.seconds, self.work_seconds = from_first((self.seconds, self.work_seconds), group)

    def state(self) -> dict[str, float]:
        """The sums, for the history and a checkpoint; without work that was not measured."""
        state = {"seconds": self.seconds}
        return state if self.work_seconds is None else {**state, "work_seconds": self.work_seconds}
