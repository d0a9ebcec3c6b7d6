"""Start trainings on a CPU from a process that has imported what they need."""

import atexit
import multiprocessing
import os
import runpy
import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

# What a training imports, beside the data set and the backbone that it names.
IMPORTED = [
    "gcahng.cli",
    "gcahng.commands.run",
    "gcahng.data.transforms",
    "gcahng.generators",
    "gcahng.losses",
    "gcahng.models",
    "gcahng.training.trainer",
    "gcahng.training.warm_start",
    "torch._dynamo",
    "torch.utils.tensorboard",
]
THREADS = "OMP_NUM_THREADS"
# Standard output and errors.
STREAMS = (1, 2)


class WarmProcess:
    """A process of a training, forked from one that has imported everything: a `Started`."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        from multiprocessing import forkserver  # which Windows lacks

        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        self.process = context.Process(target=_run, args=(words, dict(environment), log))
        # Without the script of this process, which a forked one would run again at its start.
        with _replaced(sys.modules, "__main__", ModuleType("__main__")):
            # Libraries read the number of threads as they are imported.
            with _replaced(os.environ, THREADS, environment.get(THREADS)), _output_to(log):
                forkserver.ensure_running()
            self.process.start()

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


@contextmanager
def _replaced(mapping: MutableMapping[str, Any], key: str, value: Any) -> Iterator[None]:
    """Set a value within the block, unless it is None."""
    before = mapping.get(key)
    if value is not None:
        mapping[key] = value
    try:
        yield
    finally:
        mapping.pop(key, None)
        if before is not None:
            mapping[key] = before


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Let what is started within the block write to a file."""
    before = [os.dup(stream) for stream in STREAMS]
    try:
        _redirect(log)
        yield
    finally:
        for stream, kept in zip(STREAMS, before, strict=True):
            os.dup2(kept, stream)
            os.close(kept)


def _redirect(log: Path) -> None:
    with log.open("wb") as output:
        for stream in STREAMS:
            os.dup2(output.fileno(), stream)


def _run(words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """Run `gcahng` with these words as a process of its own would."""
    import torch

    os.environ.clear()
    os.environ.update(environment)
    _redirect(log)
    if THREADS in environment:
        torch.set_num_threads(int(environment[THREADS]))
    sys.argv = ["gcahng", *words]
    try:
        runpy.run_module("gcahng", run_name="__main__")
    finally:
        # The library that forks leaves out what was registered for the end.
        atexit._run_exitfuncs()
