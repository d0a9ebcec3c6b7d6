"""Processes of this project: their place, what they inherit, how they stop, why they ended."""

import atexit
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from gcahng.files import write_text
from gcahng.jobs.warm import WarmProcess, can_warm

# In sysexits.h a temporary failure: what was done is kept, and the command can be given again.
CONTINUE = 75
GCAHNG = (sys.executable, "-m", "gcahng")
# What a shell reports after Ctrl-C.
INTERRUPTED = 130
# A cluster sends these before it takes the machine away: SLURM with `--signal=USR1@120`.
STATUS = {"SIGINT": INTERRUPTED, "SIGTERM": CONTINUE, "SIGUSR1": CONTINUE}
#: Environment variable with the path of the file that takes the error sentence.
FAILURE_FILE = "GCAHNG_FAILURE_FILE"
#: Environment variable with the GPUs that a process may use.
GPUS = "CUDA_VISIBLE_DEVICES"
# What torchrun, srun and mpirun tell each of the processes that they start together.
_LAUNCHER = re.compile(
    r"RANK|WORLD_SIZE|NODE_RANK|MASTER_(ADDR|PORT)|(LOCAL|GROUP|ROLE)_(RANK|WORLD_SIZE|NAME)"
    r"|(TORCHELASTIC|SLURM|OMPI|PMI|PMIX)_.*|JSM_NAMESPACE_.*"
)
# Seconds until a process that was asked to stop is killed.
GRACE = 15.0

Receive = Callable[[int], None]


class Stopped(BaseException):
    """A signal has asked this command to stop; no `Exception`, so that no handler swallows it."""

    def __init__(self, status: int, where: str = "") -> None:
        what = "interrupted" if status == INTERRUPTED else "stopped by a signal"
        super().__init__(f"{what} {where}".strip())
        self.status = status


@contextmanager
def heed_signals(receive: Receive | None = None) -> Iterator[None]:
    """Handle SIGINT, SIGTERM and SIGUSR1 within the block, unless they are ignored."""
    stopping = False

    def stop(status: int) -> None:
        nonlocal stopping
        if not stopping or status == INTERRUPTED:
            stopping = True
            raise Stopped(status)

    call, previous = receive or stop, {}
    if threading.current_thread() is threading.main_thread():
        for name, status in STATUS.items():
            number = getattr(signal, name)
            if signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, lambda *_, status=status: call(status))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def was_stopped(status: int | None) -> bool:
    """Tell whether a process of this project that ended with a status had been asked to stop."""
    # Before it could handle the signal, the signal itself ended it.
    numbers = [-getattr(signal, name) for name in STATUS]
    return status in (*STATUS.values(), *numbers)


def end_now(error: BaseException) -> NoReturn:
    """End this process as Python would after an error, but without tearing the interpreter down."""
    # Threads of gloo, which still let go of tensors then, would abort the process (torch 2.14).
    status = error.code if isinstance(error, SystemExit) else 1
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


@dataclass(frozen=True)
class Place:
    """The place of this process among those that a launcher has started."""

    number: int
    size: int
    local_size: int

    @property
    def nodes(self) -> int:
        """Number of machines."""
        return self.size // self.local_size


def place(environment: Mapping[str, str] | None = None) -> Place | None:
    """Return the place of this process, or None if nothing has launched several.

    Example:
        >>> place({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"})
        Place(number=3, size=8, local_size=4)
        >>> place({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}) is None
        True
    """
    env = os.environ if environment is None else environment
    size = int(env.get("WORLD_SIZE", "1"))
    if "RANK" in env and size > 1:
        return Place(int(env["RANK"]), size, int(env.get("LOCAL_WORLD_SIZE", size)))
    size = int(env.get("SLURM_STEP_NUM_TASKS", "1"))
    if "SLURM_PROCID" in env and size > 1:
        nodes = int(env.get("SLURM_STEP_NUM_NODES", "1"))
        return Place(int(env["SLURM_PROCID"]), size, size // nodes)
    return None


def launched_elsewhere() -> bool:
    """Whether torchrun or srun has started several processes, and not `train_together`."""
    by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    return place() is not None and (by_torchrun or "RANK" not in os.environ)


def is_first() -> bool:
    """Whether this process writes files and reports: the only one, or the first of several."""
    found = place()
    return found is None or found.number == 0


def child_environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process to start: this one's, without a launcher's variables.

    Example:
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, {"RANK": "1", "HOME": "/home"}, clear=True):
        ...     child_environment({"OMP_NUM_THREADS": "2"})
        {'HOME': '/home', 'OMP_NUM_THREADS': '2'}
    """
    kept = {name: value for name, value in os.environ.items() if not _LAUNCHER.fullmatch(name)}
    return {**kept, **(added or {})}


def choose_gpus(count: int, taken: Iterable[str] = ()) -> dict[str, str]:
    """Choose GPUs for a process to start: those that the fewest others have."""
    import torch  # here, since not every process that starts others needs it

    there, given = torch.cuda.device_count(), os.environ.get(GPUS)
    names = [str(number) for number in range(there)] if given is None else given.split(",")
    names, used = [name.strip() for name in names[:there]], Counter(taken)
    if len(names) <= count:
        return {}
    return {GPUS: ",".join(sorted(names, key=used.__getitem__)[:count])}


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Started(Protocol):
    """A process that was started: a `subprocess.Popen` or a `WarmProcess`."""

    def poll(self) -> int | None:
        """Return its exit status; None while it works."""

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal."""


def start_process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Started:
    """Start a process on this machine; a training on a CPU, from one that has imported all."""
    if tuple(command[: len(GCAHNG)]) == GCAHNG and can_warm():
        with suppress(OSError, EOFError):
            return WarmProcess(command[len(GCAHNG) :], child_environment(environment), log)
    with log.open("wb") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=child_environment(environment),
        )


def stop_processes(processes: Sequence[Started], patience: float) -> None:
    """End processes: wait, as Ctrl-C on a terminal reaches them, ask them to save, kill them."""
    try:
        _wait(processes, patience)
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        _wait(processes, GRACE)
    finally:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)


def _wait(processes: Sequence[Started], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        time.sleep(0.02)


def write_failure(sentence: str) -> None:
    """Write an error sentence to the file that the environment names; nothing without one."""
    path = os.environ.get(FAILURE_FILE)
    if path:
        # If the disk is full, the sentence is in the log, too.
        with suppress(OSError):
            write_text(path, sentence + "\n")


def explain_end(status: int | None, log: Path) -> str:
    """Describe how a process ended that left no reason: its signal, or its last line of output."""
    if status is not None and status < 0:
        return f"its process was ended by signal {-status} ({signal.strsignal(-status)})"
    lines = []
    if log.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1] if lines else f"its process ended with status {status}"
    return f"{last}; see '{log}'"
