"""Peak memory of a part of the program."""

import sys
from contextlib import suppress
from pathlib import Path

import torch

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
