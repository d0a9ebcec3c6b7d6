"""Start processes that measure together, and collect what they found."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist

from gcahng.jobs.process import child_environment

Job = dict[str, Any]
Measure = Callable[[Job], dict[str, Any]]

POLL_SECONDS = 0.1
# The others wait while one process measures alone.
TIMEOUT = timedelta(hours=6)


def parse_counts(option: str, text: str) -> list[int]:
    """Read the whole numbers of an option such as `--processes 1,2`.

    Raises:
        ValueError: If it is anything else, or a number is below 1.

    Example:
        >>> parse_counts("--processes", "2, 1,2")
        [1, 2]
    """
    parts = [part.strip() for part in text.split(",")]
    wrong = [part for part in parts if not (part.isascii() and part.isdigit() and int(part))]
    if wrong:
        raise ValueError(f"{option}: expected whole numbers from 1, as in 1,2, got {text!r}")
    return sorted({int(part) for part in parts})


def check_processes(counts: list[int], threads: int, device: str) -> None:
    """Check that the machine can run so many processes of so many threads.

    Raises:
        ValueError: If it has fewer cores, or they would share a GPU.
    """
    cores, most = os.cpu_count() or 1, max(counts)
    if device != "cpu":
        raise ValueError("--processes: several processes are measured on the CPU only")
    if most > 1 and most * threads > cores:
        with_threads = f" × {threads} threads" if threads > 1 else ""
        raise ValueError(
            f"--processes: {most} processes{with_threads} were asked for, but this machine has "
            f"{cores} cores"
        )


def run_workers(module: str, job: Job, processes: int) -> list[dict[str, Any]]:
    """Run a module in several processes that form one group, and return what each found.

    Args:
        module: Calls `work` when it is run.
        job: What to measure, as JSON; `threads` is the number of threads of each process.
        processes: How many.

    Raises:
        ChildProcessError: If one fails; all are then stopped.
    """
    with tempfile.TemporaryDirectory(prefix="gcahng-benchmark-") as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        running = [_start(module, number, processes, folder) for number in range(processes)]
        try:
            while (codes := [process.poll() for process in running]) != [0] * processes:
                failed = [number for number, code in enumerate(codes) if code]
                if failed:
                    raise ChildProcessError(_sentence(failed[0], codes, folder))
                time.sleep(POLL_SECONDS)
        finally:
            for process in running:
                process.kill()
                process.wait()
        return [json.loads((folder / f"{i}.json").read_text("utf-8")) for i in range(processes)]


def _start(module: str, number: int, processes: int, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", module, str(number), str(processes), str(folder)]
    with (folder / f"{number}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=child_environment())


def _sentence(number: int, codes: list[int | None], folder: Path) -> str:
    """Which process failed and why: a signal, or the last line that it wrote."""
    code = codes[number] or 0
    log = (folder / f"{number}.log").read_text("utf-8", errors="replace").strip()
    # Torch puts the number of the process before each line.
    last = re.sub(r"^\[rank\d+\]: *", "", log.splitlines()[-1]) if log else ""
    reason = last or f"exit status {code}"
    if code < 0:
        reason = f"killed by signal {-code}"
        reason += ", perhaps because memory ran out" if code == -9 else ""
    return f"the benchmark stopped: process {number} of {len(codes)} failed: {reason}"


def _stop_with(parent: int) -> None:
    """End this process when the one that started it has ended, whatever ended it."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def work(measure: Measure) -> None:
    """Join the other processes of `run_workers`, measure, and write what was found."""
    number, processes, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    threading.Thread(target=_stop_with, args=(os.getppid(),), daemon=True).start()
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    if processes > 1:
        dist.init_process_group(
            "gloo",
            init_method=(folder / "store").absolute().as_uri(),
            rank=number,
            world_size=processes,
            timeout=TIMEOUT,
        )
    found = measure(job)
    (folder / f"{number}.json").write_text(json.dumps(found), encoding="utf-8")
    if processes > 1:
        dist.destroy_process_group()
