"""Peak memory of a stretch of the program."""

import resource
import sys
from pathlib import Path

import torch

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
MIB = 2**20


def reset_peak_memory(device: torch.device) -> None:
    """Start a new stretch; where the system cannot, the process's peak so far remains."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR.exists():
        # Linux: 5 resets the peak resident set size.
        _CLEAR.write_text("5")


def peak_memory_mib(device: torch.device) -> float:
    """Peak of the stretch in MiB: allocated on a CUDA device, else resident in the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    # Kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB
