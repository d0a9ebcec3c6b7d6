"""Start the other processes of a training."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from gcahng.config.sections import FabricConfig
from gcahng.runs.children import child_environment
from gcahng.training.fabric import make_fabric
from gcahng.training.place import place

GRACE_SECONDS = 10.0
# Seconds in which `Watchdog` would have ended this process.
UNNOTICED_SECONDS = 40.0


def number_of_devices(section: FabricConfig) -> int:
    """How many processes the settings ask for on this machine.

    Raises:
        ValueError: If the machine does not have what is asked for.
    """
    if section.devices == 1:
        return 1
    fabric = make_fabric(section, section.devices, 1)
    cores = os.cpu_count() or 1
    if fabric.device.type == "cpu" and fabric.world_size > cores:
        raise ValueError(
            f"fabric.devices: {fabric.world_size} processes were asked for, but this machine has "
            f"{cores} cores"
        )
    return fabric.world_size


@contextmanager
def start_others(section: FabricConfig) -> Iterator[None]:
    """Start the other processes that the settings ask for, with the command of this one.

    Does nothing if they have been started already, or if one process is asked for. With
    `fabric.num_nodes`, run the command on every machine, with MASTER_ADDR, MASTER_PORT and
    NODE_RANK set. The others are stopped when the block ends with an error.
    """
    local = 1 if place() is not None else number_of_devices(section)
    if place() is not None or local * section.num_nodes == 1:
        yield
        return
    needed = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
    if section.num_nodes > 1 and (missing := [name for name in needed if name not in os.environ]):
        raise ValueError(
            f"fabric.num_nodes: {section.num_nodes} machines were asked for, but "
            f"{', '.join(missing)} is not set: start the training with torchrun or srun, or set "
            f"{', '.join(needed)} on each of them"
        )
    # On one machine, such variables can only be left over from something else.
    given = os.environ if section.num_nodes > 1 else {}
    first = int(given.get("NODE_RANK", "0")) * local
    before = dict(os.environ)
    together = {
        "MASTER_ADDR": given.get("MASTER_ADDR", "127.0.0.1"),
        "MASTER_PORT": given.get("MASTER_PORT") or str(_free_port()),
        "NODE_RANK": given.get("NODE_RANK", "0"),
        "WORLD_SIZE": str(local * section.num_nodes),
        "LOCAL_WORLD_SIZE": str(local),
    }
    others: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(1, local):
            others.append(_start(together, first, number))
        own = child_environment({**together, "RANK": str(first), "LOCAL_RANK": "0"})
        os.environ.clear()
        os.environ |= own
        threading.Thread(target=_end_with, args=(others,), daemon=True).start()
        yield
        with suppress(subprocess.TimeoutExpired):
            for other in others:
                other.wait(GRACE_SECONDS)
    finally:
        for other in others:
            other.kill()
        os.environ.clear()
        os.environ |= before


def _end_with(others: list[subprocess.Popen[bytes]]) -> None:
    """End this process if another one fails and no `Watchdog` has noticed it."""
    while not any(other.poll() for other in others):
        time.sleep(1)
    time.sleep(UNNOTICED_SECONDS)
    failed = [number for number, other in enumerate(others, start=1) if other.poll()]
    print(f"error: process {failed[0]} has ended, so the training was stopped", file=sys.stderr)
    os._exit(1)


def _start(together: Mapping[str, str], first: int, number: int) -> subprocess.Popen[bytes]:
    own = {
        **together,
        "RANK": str(first + number),
        "LOCAL_RANK": str(number),
        # When process 0 ends, torch would print where in its code it noticed.
        "TORCH_CPP_LOG_LEVEL": "ERROR",
    }
    return subprocess.Popen([*_command(), *sys.argv[1:]], env=child_environment(own))


def _command() -> list[str]:
    """The interpreter and the program, as this process was started."""
    main = sys.modules["__main__"]
    module = getattr(main, "__spec__", None)
    if module is None:
        return [sys.executable, os.path.abspath(sys.argv[0])]
    return [sys.executable, "-m", module.name.removesuffix(".__main__")]


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
