"""Leave a training in mid-epoch without losing it: timed checkpoints and signals."""

import time
from contextlib import ExitStack
from types import TracebackType

from gcahng.jobs.process import CONTINUE, INTERRUPTED, Stopped, heed_signals
from gcahng.processes import Group, any_process


class TrainingStopped(Stopped):
    """A signal asked the training to stop; it was saved after the step under way."""


class Interruption:
    """When to save within an epoch and whether to stop, decided by all processes together.

    Inside the block, signals do not end the training: `ask` reports them. A second Ctrl-C does.

    Args:
        save_minutes: Minutes between two checkpoints within an epoch; None: none.
        group: The processes that train together; None: this one alone.

    Attributes:
        status: The exit status that the signals ask for, as far as `ask` has reported them.
    """

    def __init__(self, save_minutes: float | None, group: Group = None) -> None:
        self._group = group
        self._period = None if save_minutes is None else 60 * save_minutes
        self._saved = time.monotonic()
        self._received: set[int] = set()
        self._handlers = ExitStack()
        self.status = CONTINUE

    def __enter__(self) -> "Interruption":
        self._handlers.enter_context(heed_signals(self._receive))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._handlers.close()

    def ask(self) -> tuple[bool, bool]:
        """Return whether to save now, and whether to stop afterwards; all processes must ask."""
        due = self._period is not None and time.monotonic() - self._saved >= self._period
        received = bool(self._received)
        flags = (due or received, received, INTERRUPTED in self._received)
        save, stop, interrupted = any_process(*flags, group=self._group)
        if interrupted:
            self.status = INTERRUPTED
        if save:
            self._saved = time.monotonic()
        return save, stop

    def _receive(self, status: int) -> None:
        if status == INTERRUPTED and status in self._received:
            raise Stopped(status)
        self._received.add(status)
