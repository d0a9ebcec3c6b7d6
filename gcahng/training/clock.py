"""How much a training has worked, by clocks that other programs do not disturb."""

import time

import torch


class WorkClock:
    """Seconds of training, by the wall and by the work done.

    On a CPU, work is the CPU time of this process over all its threads: other programs on the
    machine make it wait, but not work. On a GPU, whose work the process does not do itself, it is
    the wall time.

    Args:
        device: Where the training runs.
        seconds: Wall seconds so far.
        work_seconds: Work seconds so far.
    """

    def __init__(
        self, device: torch.device, seconds: float = 0.0, work_seconds: float = 0.0
    ) -> None:
        self._work = time.process_time if device.type == "cpu" else time.perf_counter
        self.seconds, self.work_seconds = seconds, work_seconds

    def start(self) -> None:
        """Begin a stretch of training."""
        self._began = time.perf_counter(), self._work()

    def stop(self) -> None:
        """End the stretch and add it to the sums."""
        wall, work = self._began
        self.seconds += time.perf_counter() - wall
        self.work_seconds += self._work() - work

    def state(self) -> dict[str, float]:
        """Both sums, for the history and a checkpoint."""
        return {"seconds": self.seconds, "work_seconds": self.work_seconds}
