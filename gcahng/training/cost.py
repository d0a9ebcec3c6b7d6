"""Seconds and memory of a part of the program."""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

from gcahng.processes import Group, from_first

T = TypeVar("T")
MIB = 2**20


def measure_time(run: Callable[[], T], device: torch.device) -> tuple[float, T]:
    """Wall seconds that a function takes, a device's part included, and its result."""
    _synchronize(device)
    start = time.perf_counter()
    result = run()
    _synchronize(device)
    return time.perf_counter() - start, result


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class WorkClock:
    """Sum the seconds of training: CPU time of all threads on a CPU, else wall time."""

    def __init__(self, device: torch.device, seconds: float = 0.0) -> None:
        self._now = time.process_time if device.type == "cpu" else time.perf_counter
        self.seconds = seconds

    def start(self) -> None:
        """Begin to measure."""
        self._began = self._now()

    def stop(self) -> None:
        """Add the time since `start`."""
        self.seconds += self._now() - self._began

    def copy_from_process_zero(self, group: Group) -> None:
        """Copy the sum of process 0, so that all agree when the time is up."""
        self.seconds = from_first(self.seconds, group)


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak; where the system does not support this, the earlier peak remains."""
    clear = Path("/proc/self/clear_refs")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif clear.exists():
        # Linux: 5 resets the peak resident set size. Not allowed in some containers.
        with suppress(OSError):
            clear.write_text("5")


def peak_memory_mib(device: torch.device) -> float:
    """Peak since the last reset in MiB: allocated on a GPU, else resident in the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    # Kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def tensor_peak_mib(run: Callable[[], object], device: torch.device) -> float:
    """Most MiB of tensors that a function allocates at a time; run it once before."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return (torch.cuda.max_memory_allocated(device) - before) / MIB
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    alive = peak = 0
    for event in sorted(events, key=lambda event: event.get("ts", 0)):
        if event.get("name") == "[memory]":
            alive += event["args"]["Bytes"]
            peak = max(peak, alive)
    return peak / MIB
