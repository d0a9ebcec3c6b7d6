"""Signals that ask a command to stop, and the exit status that it then leaves with."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# In sysexits.h a temporary failure: what was done is kept, and the command can be given again.
CONTINUE = 75
# What a shell reports after Ctrl-C.
INTERRUPTED = 130
# A cluster sends these before it takes the machine away: SLURM with `--signal=USR1@120`.
STATUS = {"SIGINT": INTERRUPTED, "SIGTERM": CONTINUE, "SIGUSR1": CONTINUE}

Receive = Callable[[int], None]


class Stopped(BaseException):
    """A signal has asked this command to stop.

    Like KeyboardInterrupt no `Exception`, so that nothing that handles errors swallows it.

    Args:
        status: The exit status to leave with.
        where: What was done by then, such as "after epoch 3".
    """

    def __init__(self, status: int, where: str = "") -> None:
        what = "interrupted" if status == INTERRUPTED else "stopped by a signal"
        super().__init__(f"{what} {where}".strip())
        self.status = status


@contextmanager
def heed_signals(receive: Receive | None = None) -> Iterator[None]:
    """Handle SIGINT, SIGTERM and SIGUSR1 within the block, unless they are ignored.

    Python handles signals in the main thread only; in others, this does nothing.

    Args:
        receive: Called with the exit status that the signal asks for; default: raise `Stopped`.
    """
    previous = {}
    if threading.current_thread() is threading.main_thread():
        call = receive or _raiser()
        for name, status in STATUS.items():
            number = getattr(signal, name, None)  # Windows has no SIGUSR1
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, lambda *_, status=status: call(status))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def was_stopped(status: int | None) -> bool:
    """Tell whether a process of this project that ended with a status had been asked to stop."""
    # Before it could handle the signal, the signal itself ended it.
    numbers = [-getattr(signal, name) for name in STATUS if hasattr(signal, name)]
    return status in (*STATUS.values(), *numbers)


def _raiser() -> Receive:
    """Raise at the first signal, and at every Ctrl-C; a cluster may send others again and again."""
    stopping = False

    def receive(status: int) -> None:
        nonlocal stopping
        if not stopping or status == INTERRUPTED:
            stopping = True
            raise Stopped(status)

    return receive
