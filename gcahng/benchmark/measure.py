"""Measure time and memory of several functions so that the figures can be compared."""

import json
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile

from gcahng.training.clock import timed

Work = Callable[[], None]
MIB = 2**20


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set the number of threads of torch within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def median_seconds(
    work: Mapping[str, Work], repetitions: int, device: torch.device
) -> dict[str, float]:
    """Median run time of several functions, after one warm-up run each.

    The functions take turns, so that a machine that slows down affects all of them equally.

    Args:
        work: Functions by name.
        repetitions: Timed runs of each.
        device: Device to synchronize with.

    Returns:
        Seconds by name.
    """
    for run in work.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repetitions):
        for name, run in work.items():
            seconds[name].append(timed(run, device)[0])
    return {name: median(found) for name, found in seconds.items()}


def peak_mib(run: Work, device: torch.device) -> float:
    """Largest tensor memory in MiB that a function allocates beyond what was allocated before.

    The function runs once before the measurement, so that memory that it keeps, such as gradients,
    exists already.
    """
    run()
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
    allocations = [event for event in events if event.get("name") == "[memory]"]
    alive = peak = 0
    for event in sorted(allocations, key=lambda event: event["ts"]):
        alive += event["args"]["Bytes"]
        peak = max(peak, alive)
    return peak / MIB


def plain_products(device: torch.device, size: int = 2048, count: int = 16) -> tuple[Work, int]:
    """A function that computes `count` float32 products of [size, size] matrices, and its FLOP."""
    a, b = torch.randn(2, size, size, device=device).unbind()
    out = torch.empty_like(a)

    def run() -> None:
        for _ in range(count):
            torch.mm(a, b, out=out)

    return run, 2 * size**3 * count


def find_device(name: str) -> torch.device:
    """The device of `--device`.

    Raises:
        ValueError: If torch does not know it, or this machine does not have it.
    """
    if name not in ("cpu", "cuda"):
        raise ValueError(f"--device: expected cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device: torch finds no CUDA device on this machine; use cpu")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """Name of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
