"""Measure time and memory of several functions so that the figures can be compared."""

import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from gcahng.training.clock import timed

Work = Callable[[], None]
MIB = 2**20
CPU = torch.device("cpu")


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set the number of threads of torch within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Times(NamedTuple):
    """How long a run of a function took, or the medians of several runs."""

    seconds: float
    """By the wall clock."""
    cpu: float
    """CPU time of this process over all its threads, in seconds; waiting for a GPU counts too."""


def time_once(run: Work, device: torch.device = CPU) -> Times:
    """Measure one run, a device's part included."""
    cpu = time.process_time()
    seconds, _ = timed(run, device)
    return Times(seconds, time.process_time() - cpu)


def time_in_turn(
    work: Mapping[str, Work], repetitions: int, device: torch.device, warm_up: bool = True
) -> dict[str, list[Times]]:
    """Time several functions, round after round.

    The functions take turns, so that a machine that slows down affects all of them equally.

    Args:
        work: Functions by name.
        repetitions: Timed runs of each.
        device: Device to synchronize with.
        warm_up: Whether to run each once before; default True.

    Returns:
        The times of each run, by name.
    """
    if warm_up:
        for run in work.values():
            run()
    times: dict[str, list[Times]] = {name: [] for name in work}
    for _ in range(repetitions):
        for name, run in work.items():
            times[name].append(time_once(run, device))
    return times


def median_times(times: Sequence[Times]) -> Times:
    """Median of the seconds, and of the CPU seconds.

    Example:
        >>> median_times([Times(1, 1), Times(2, 4), Times(9, 3)])
        Times(seconds=2, cpu=3)
    """
    return Times(*(median(values) for values in zip(*times, strict=True)))


Clock = Literal["seconds", "cpu"]
RATIOS = "of CPU seconds with one thread on a CPU, else of seconds"


def clock_of_ratios(device: torch.device) -> Clock:
    """What ratios are made of, as `RATIOS` says.

    Other programs on the machine change CPU seconds less than seconds. But those of several
    threads do not show how well a function uses them, and do not include a GPU.
    """
    return "cpu" if device.type == "cpu" and torch.get_num_threads() == 1 else "seconds"


def median_ratio(above: Sequence[Times], below: Sequence[Times], clock: Clock) -> float:
    """Median over the rounds of `time_in_turn` of the ratio of two functions.

    Example:
        >>> median_ratio([Times(1, 4), Times(1, 6)], [Times(2, 2), Times(2, 2)], "cpu")
        2.5
    """
    return median(getattr(a, clock) / getattr(b, clock) for a, b in zip(above, below, strict=True))


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
