"""Peak memory of a part of the program."""

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

if sys.platform != "win32":
    import resource

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
MIB = 2**20


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak; where the system does not support this, the earlier peak remains."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR.exists():
        # Linux: 5 resets the peak resident set size. Not allowed in some containers.
        with suppress(OSError):
            _CLEAR.write_text("5")


def peak_memory_mib(device: torch.device) -> float:
    """Peak since the last reset in MiB: allocated on a CUDA device, else resident in the process.

    0 on Windows, which has no such figure in Python's standard library.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        return 0.0
    # Kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def tensor_peak_mib(run: Callable[[], object], device: torch.device) -> float:
    """Largest memory of tensors in MiB that a function allocates beyond what was allocated before.

    Run the function once before, so that memory that it keeps, such as gradients, exists already.
    """
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
