"""The processes of one training: start them, watch them, and let one of them explain an error.

torchrun would start them too. But, as measured with torch 2.14, it kills them 30 s after a signal
whether or not they have saved, shows a traceback, and leaves them behind when it is killed itself.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from torch import distributed as dist
from torch.distributed.distributed_c10d import _get_default_store

from gcahng.jobs.process import (
    CONTINUE,
    INTERRUPTED,
    child_environment,
    heed_signals,
    place,
    was_stopped,
)
from gcahng.processes import Group, rank
from gcahng.reasons import refusal

#: Environment variable with the process that started this one.
PARENT = "GCAHNG_PARENT"
# Seconds between two looks, until a signal is passed on to processes that have not had it from a
# terminal or a cluster, and until the others are killed after one has ended.
LOOK, PASS_ON, GRACE = 0.1, 2.0, 5.0


def train_together(size: int) -> int | None:
    """Run the command of this process in so many, and return the exit status.

    None if this is one of the processes, or the only one.
    """
    if parent := os.environ.get(PARENT):
        threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()
    if place() is not None or size == 1:
        return None
    # Kept here rather than by process 0, on a port that nothing else can take in between.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "NODE_RANK": "0",
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        PARENT: str(os.getpid()),
    }
    processes: list[subprocess.Popen[bytes]] = []
    received: dict[int, float] = {}
    try:
        with heed_signals(lambda status: received.update({status: time.monotonic()})):
            for number in range(size):
                own = {"RANK": str(number), "LOCAL_RANK": str(number)}
                words = [*_program(), *sys.argv[1:]]
                processes.append(subprocess.Popen(words, env=child_environment(shared | own)))
            return _watch(processes, received)
    finally:
        for process in processes:
            process.kill()


def _watch(processes: list[subprocess.Popen[bytes]], received: Mapping[int, float]) -> int:
    """Wait until all have ended, or a while after one has failed; return the exit status."""
    failed: dict[int, int] = {}
    deadline, passed_on = float("inf"), False
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        if received and not passed_on and time.monotonic() > min(received.values()) + PASS_ON:
            passed_on = True
            for process in processes:
                process.send_signal(signal.SIGTERM)
        for number, process in enumerate(processes):
            if process.poll() and number not in failed:
                failed[number] = process.returncode
                deadline = min(deadline, time.monotonic() + GRACE)
        time.sleep(LOOK)
    for number, process in enumerate(processes):
        if process.poll():
            failed.setdefault(number, process.returncode)
    number, status = next(iter(failed.items()), (0, 0))
    if status < 0 and not was_stopped(status):
        raise ValueError(
            f"process {number} of {len(processes)} was ended by signal {-status} "
            f"({signal.strsignal(-status)}), so the training was stopped; continue with --resume"
        )
    if was_stopped(status):
        return INTERRUPTED if INTERRUPTED in {*failed.values(), *received} else CONTINUE
    return status


def _program() -> list[str]:
    """Return the interpreter and the program, as this process was started."""
    main = sys.modules["__main__"]
    module = getattr(main, "__spec__", None)
    if module is None:
        return [sys.executable, os.path.abspath(sys.argv[0])]
    return [sys.executable, "-m", module.name.removesuffix(".__main__")]


def _end_with(parent: int) -> None:
    """End this process when the one that started it has ended, whatever ended it."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    if os.environ["RANK"] == "0":
        print("error: the process that started this training has ended", file=sys.stderr)
    os._exit(1)


@contextmanager
def explain_once(group: Group) -> Iterator[None]:
    """Let the first process that fails within the block report its error, and no other one."""
    try:
        yield
    except Exception as error:
        if group is None:
            raise
        foreign = isinstance(error, RuntimeError) and not isinstance(error, NotImplementedError)
        if foreign and refusal(error) is None:
            # An exchange broke off, most likely because another process has ended: whatever
            # started the processes ends this one, and says so.
            time.sleep(2 * GRACE)
        failures = 2
        with suppress(RuntimeError):  # what keeps the store may be gone
            failures = dist.PrefixStore("gcahng", _get_default_store()).add("failures", 1)
        if failures > 1:
            raise SystemExit(1) from None
        if rank(group):
            error.args = (f"process {rank(group)}: {error}",)
        raise
