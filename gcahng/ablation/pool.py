"""Runs in processes of their own, so that one that crashes takes no other with it."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from gcahng.ablation.cell_run import CellRun
from gcahng.ablation.grid import Grid
from gcahng.runs.loading import run_device

COMMAND = (sys.executable, "-m", "gcahng", "train")
# Seconds that a process has to end by itself, and then once it was asked to.
PATIENCE, GRACE = 3.0, 15.0


class Pool:
    """Trains runs, several at a time; whoever leaves it stops those that still run.

    Args:
        jobs: How many processes there will be at most.
        claim: An open file that the processes inherit, see `exclusive_lock`.
    """

    def __init__(self, jobs: int, claim: int) -> None:
        self.jobs, self.claim = jobs, claim
        self.running: dict[CellRun, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Pool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Ctrl-C on a terminal reaches every process: a second one would disturb the first.
        self._wait(PATIENCE)
        for process in self.running.values():
            process.send_signal(signal.SIGINT)
        self._wait(GRACE)
        for process in self.running.values():
            process.kill()
            process.wait()

    def start(self, run: CellRun) -> None:
        """Let a run begin, or go on."""
        arguments = run.arguments()
        run.log.parent.mkdir(parents=True, exist_ok=True)
        with run.log.open("wb") as log:
            self.running[run] = subprocess.Popen(
                [*COMMAND, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(run),
                pass_fds=[self.claim],
            )

    def ended(self) -> list[CellRun]:
        """The runs whose processes have ended since; one that failed knows why."""
        runs = [run for run, process in self.running.items() if process.poll() is not None]
        for run in runs:
            status = self.running.pop(run).returncode
            if status != 0 or not run.folder.results.exists():
                run.fail(_reason(run, status))
        return runs

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            self.running = {run: p for run, p in self.running.items() if p.poll() is None}
            time.sleep(0.02)

    def _environment(self, run: CellRun) -> dict[str, str]:
        """Libraries beside torch count the cores too; without a setting, all have their share."""
        threads = run.cell.config.fabric.threads
        if threads is None and self.jobs > 1:
            threads = max(1, _cores() // self.jobs)
        return {**os.environ, **({} if threads is None else {"OMP_NUM_THREADS": str(threads)})}


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[int]:
    """Keep a folder from being worked on twice, as long as this process or one of its own lives.

    Yields:
        The open file that holds the claim.

    Raises:
        ValueError: If another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".claim").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"'{folder}' is being worked on by another process: wait until it has ended, or "
                "stop it"
            ) from None
        yield file.fileno()


def default_jobs(grid: Grid) -> int:
    """As many as fill the cores; one where torch takes all of them, or where there is a GPU."""
    jobs = [_cores()]
    for cell in grid.cells.values():
        threads = cell.config.fabric.threads
        alone = threads is None or run_device(cell.config).type != "cpu"
        jobs.append(1 if threads is None or alone else max(1, _cores() // threads))
    return min(jobs)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _reason(run: CellRun, status: int) -> str:
    """Why a process failed, in the words of its own error if it said one."""
    if status < 0:
        return f"its process was ended by signal {-status} ({signal.strsignal(-status)})"
    text = run.log.read_text(encoding="utf-8", errors="replace").strip()
    _, said, sentence = text.rpartition("error: ")
    if said:
        return " ".join(sentence.split())
    last = text.splitlines()[-1] if text else f"its process ended with status {status}"
    return f"{last}; see '{run.log}'"
