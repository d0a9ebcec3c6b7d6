"""Leave a training in mid-epoch without losing it: timed checkpoints and signals."""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from gcahng.processes import Group, any_process

# Sent by a cluster before it takes the machine away: by SLURM with `--signal=USR1@120`.
SIGNALS = ("SIGTERM", "SIGUSR1")
# As in sysexits.h: a temporary failure, try again.
EXIT_STATUS = 75


class TrainingStopped(Exception):
    """A signal asked the training to stop; it was saved after the step under way."""


class Interruption:
    """When to save within an epoch and whether to stop, decided by all processes together.

    Inside the block, SIGTERM and SIGUSR1 do not end the process: `ask` reports them.

    Args:
        save_minutes: Minutes between two checkpoints within an epoch; None: none.
        group: The processes that train together; None: this one alone.
    """

    def __init__(self, save_minutes: float | None, group: Group = None) -> None:
        self._group = group
        self._period = None if save_minutes is None else 60 * save_minutes
        self._saved = time.monotonic()
        self._received = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        # Python allows handlers in the main thread only.
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name, None) for name in SIGNALS):
                if number is not None:
                    self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def ask(self) -> tuple[bool, bool]:
        """Return whether to save now, and whether to stop afterwards; all processes must ask."""
        due = self._period is not None and time.monotonic() - self._saved >= self._period
        save, stop = any_process(due or self._received, self._received, group=self._group)
        if save:
            self._saved = time.monotonic()
        return save, stop

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = True
