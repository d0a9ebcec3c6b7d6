"""Train runs in processes of their own, so that a crash of one leaves the others alone."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gcahng.ablation.cell_run import CellRun
from gcahng.ablation.grid import Grid
from gcahng.ablation.launchers import Launcher, Started, start_process
from gcahng.config import ExperimentConfig
from gcahng.runs.children import GPUS, choose_gpus
from gcahng.runs.claim import CLAIM_FILE, Claim
from gcahng.runs.failure import FAILURE_FILE
from gcahng.runs.loading import run_device
from gcahng.runs.stopping import was_stopped

COMMAND = (sys.executable, "-m", "gcahng", "train")
# Seconds to wait for a process to end: without a signal, and then after SIGTERM.
PATIENCE, GRACE = 3.0, 15.0


class Pool:
    """Processes that train runs, several at a time; close it to stop those still running.

    Args:
        jobs: The largest number of processes.
        launch: What starts a process; default on this machine.
    """

    def __init__(self, jobs: int, launch: Launcher = start_process) -> None:
        self.jobs, self.launch = jobs, launch
        self.running: dict[CellRun, Started] = {}
        self.claims: dict[CellRun, Claim] = {}
        # The GPUs of each process that got some of its own.
        self.gpus: dict[CellRun, list[str]] = {}

    def close(self) -> None:
        """Stop every process: wait, ask it to save and end, then kill it."""
        try:
            # Ctrl-C on a terminal reaches every process already.
            self._wait(PATIENCE)
            for process in self.running.values():
                process.send_signal(signal.SIGTERM)
            self._wait(GRACE)
        finally:
            for process in self.running.values():
                process.kill()
                process.wait()
            for claim in self.claims.values():
                claim.release()

    def start(self, run: CellRun, claim: Claim) -> None:
        """Start a run, or continue it; the claim is released when its process has ended."""
        # First, so that it is released also if the process cannot be started.
        self.claims[run] = claim
        command = [*COMMAND, *run.arguments()]
        run.log.parent.mkdir(parents=True, exist_ok=True)
        self.running[run] = self.launch(run.name, command, self._environment(run, claim), run.log)

    def collect(self) -> list[CellRun]:
        """Return the runs whose processes have ended since the last call, marking failed ones.

        A run that a signal has stopped, or that another process has taken over, is not marked.
        """
        runs = [run for run, process in self.running.items() if process.poll() is not None]
        for run in runs:
            process, claim = self.running.pop(run), self.claims.pop(run)
            self.gpus.pop(run, None)
            failed = process.returncode != 0 or not run.folder.results.exists()
            excused = was_stopped(process.returncode) or claim.lost
            # A process writes its own reason, unless it was killed or crashed.
            if failed and not excused and not run.failure.exists():
                run.fail(exit_reason(process.returncode, run.log))
            claim.release()
        return runs

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            self.running = {run: p for run, p in self.running.items() if p.poll() is None}
            time.sleep(0.02)

    def _environment(self, run: CellRun, claim: Claim) -> dict[str, str]:
        """What to add to the environment of a run's process: its claim, its threads and its GPUs.

        Libraries beside torch count the cores too, so the number of threads goes there as well; a
        run on this machine without a setting gets an equal share of the cores.
        """
        added = {FAILURE_FILE: str(run.failure), CLAIM_FILE: str(claim.file)}
        threads = run.cell.config.fabric.threads
        if threads is None and self.jobs > 1 and self.launch is start_process:
            threads = max(1, _cores() // self.jobs)
        if threads is not None:
            added["OMP_NUM_THREADS"] = str(threads)
        if self.launch is start_process:
            taken = [name for names in self.gpus.values() for name in names]
            chosen = gpus_for(run.cell.config, taken, self.jobs)
            self.gpus[run] = chosen.get(GPUS, "").split(",")
            added |= chosen
        return added


def gpus_for(config: ExperimentConfig, taken: Sequence[str] = (), jobs: int = 1) -> dict[str, str]:
    """Choose the GPUs of a training, arguments as of `choose_gpus`; none where it names its own."""
    count = config.fabric.devices
    if not isinstance(count, int) or count < 1 or run_device(config).type != "cuda":
        return {}
    return choose_gpus(count, taken, jobs)


def default_jobs(grid: Grid) -> int:
    """As many runs as fill the cores; one where torch uses all cores or trains on a GPU."""
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


def exit_reason(status: int | None, log: Path) -> str:
    """Describe how a process ended that left no reason: its signal, or its last line of output."""
    if status is not None and status < 0:
        return f"its process was ended by signal {-status} ({signal.strsignal(-status)})"
    lines = []
    if log.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1] if lines else f"its process ended with status {status}"
    return f"{last}; see '{log}'"
