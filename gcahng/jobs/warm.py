"""Start trainings on a CPU from a process that has imported what they need."""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

# What a training imports, beside the data set and the backbone that it names.
IMPORTED = (
    "gcahng.commands.train",
    "gcahng.data",
    "gcahng.generators",
    "gcahng.losses",
    "gcahng.models",
    "gcahng.training.trainer",
    "gcahng.training.warm_start",
    "torch._dynamo",
)
THREADS = "OMP_NUM_THREADS"


class WarmProcess:
    """A process of a training, forked from one that has imported everything: a `Started`.

    A crash takes only this process. Its exit status is that of a process started anew.

    Args:
        words: What follows `gcahng` on its command line.
        environment: Its whole environment.
        log: The file of its output.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(IMPORTED))
        self.process = ForkServerProcess(target=_run, args=(words, dict(environment), log))
        # The first one starts the process that is forked, where libraries count their threads.
        before = dict(os.environ)
        os.environ.update({THREADS: environment[THREADS]} if THREADS in environment else {})
        try:
            self.process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)

    def poll(self) -> int | None:
        """Return its exit status; None while it works."""
        return self.process.exitcode

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid or 0, sig)


def can_warm() -> bool:
    """Tell whether trainings may be forked: on Linux without a GPU, which no fork could use."""
    if sys.platform != "linux":
        return False
    import torch

    return not torch.cuda.is_available()


def _run(words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """Run `gcahng` with these words as a process of its own would."""
    import torch

    os.environ.clear()
    os.environ.update(environment)
    with log.open("wb") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    if THREADS in environment:
        torch.set_num_threads(int(environment[THREADS]))
    sys.argv = ["gcahng", *words]
    runpy.run_module("gcahng", run_name="__main__")
