"""Train the unfinished runs of a grid, and write its report."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from gcahng.config import ExperimentConfig
from gcahng.jobs.claim import Claim, take_claim
from gcahng.jobs.pool import Job, Pool
from gcahng.jobs.process import cores
from gcahng.reports.tables import Column, figure_columns, results_table
from gcahng.runs.loading import run_device
from gcahng.runs.record import figures_after
from gcahng.studies.grid import Grid
from gcahng.studies.report import read_verdict, report_grid, table_columns, table_rows
from gcahng.studies.run import CellRun, State, grid_runs
from gcahng.studies.schedule import Work, say, work_through
from gcahng.studies.summary import COMPARED, below_features, summarize

# Columns that fit a terminal.
SHOWN = ("cell", "n", "recall@1", "map@r", "Δ map@r", "gain", "seconds")


def run_grid(
    grid: Grid,
    console: Console,
    jobs: int | None = None,
    out: str | Path | None = None,
) -> bool:
    """Train every run that has not finished, write the report and print its table.

    Several processes, also on several machines, may do so in one folder at the same time: each run
    is trained by one of them, and all return when the last has finished.

    Args:
        grid: The grid.
        console: Where to print.
        jobs: How many runs to train at a time; default as many as fill the cores.
        out: Folder of the report; default the folder of the runs.

    Returns:
        Whether all runs have finished; a run that fails does not stop the others.

    Raises:
        ValueError: If a run was trained with other settings.
        SystemExit: If a signal stops it.
    """
    runs = grid_runs(grid)
    changed = [
        problem for state, problem in (run.status() for run in runs) if state is State.CHANGED
    ]
    if changed:
        changed[-1] += ": give the grid's file another name, or delete their folders"
        raise ValueError("\n".join(changed))
    work = GridWork(grid, runs)
    if finished := len(runs) - len(work.unfinished):
        say(console, f"{finished} of {len(runs)} runs finished before; in {grid.folder}")
    pool = Pool(jobs or default_jobs(grid))
    written = work_through(work, pool, console, lambda: report_grid(grid, out))
    summaries = summarize(grid)
    columns = [column for column in table_columns(grid, summaries) if column.key in SHOWN]
    for line in below_features(summaries):
        say(console, line)
    console.print(results_table(table_rows(grid, summaries), columns, grid.title))
    failed = [run.name for run in runs if not run.finished]
    lines = read_verdict(grid, summaries)
    if failed:
        lines.append(f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}")
    for line in (*lines, f"report: {written}", f"page: {written.with_suffix('.html')}"):
        say(console, line)
    return not failed


class GridWork(Work[CellRun]):
    """The runs of a grid that have not finished."""

    def __init__(self, grid: Grid, runs: Sequence[CellRun]) -> None:
        self.grid, self.total = grid, len(runs)
        self.unfinished = [run for run in runs if not run.finished]
        self.taken: set[CellRun] = set()
        # What failed before is tried again, but not what fails elsewhere in the meantime.
        self.failed_before = {run: run.job.failed_at for run in self.unfinished}
        self.failed = 0

    def left(self) -> dict[str, Path]:
        """The claims of the runs that have not ended."""
        return {run.name: run.claim for run in self.unfinished}

    def take(self) -> tuple[CellRun, Claim | None] | None:
        """Claim a run; one of equal time after those that it waits for."""
        for run in self.unfinished:
            if run in self.taken or any(other in self.unfinished for other in run.waits_for):
                continue
            claim = None if self._has_ended(run) else take_claim(run.claim)
            if claim is not None or self._has_ended(run):
                self.taken.add(run)
                return run, claim
        return None

    def put_back(self, item: CellRun) -> None:
        """Let a run be taken again."""
        self.taken.discard(item)

    def next_job(self, item: CellRun) -> tuple[Job, ExperimentConfig] | None:
        """The run's training, unless it has ended, maybe just before it was claimed."""
        config = None if self._has_ended(item) else item.config()
        return None if config is None else (item.job, config)

    def end(self, item: CellRun) -> str:
        """Count a run that has finished, failed or cannot be trained, and say so."""
        self.unfinished.remove(item)
        state, problem = item.status()
        outcome = f"FAILED: {problem}"
        if state is State.FINISHED:
            record = item.record()
            figures = figures_after(record, "last", self.grid.file.split)
            shown = [f"{c.title} {c.show(figures)} %" for c in figure_columns(COMPARED)]
            outcome = f"{', '.join(shown)}, {record.results['seconds']:.1f} s"
        else:
            self.failed += 1
        note = f"; {self.failed} failed" if self.failed else ""
        return f"{self.total - len(self.unfinished)}/{self.total} {item.name}: {outcome}{note}"

    def _has_ended(self, run: CellRun) -> bool:
        """Whether a run has finished, has failed in the meantime, or cannot be trained."""
        missing = [other.name for other in run.waits_for if not other.finished]
        if missing:
            run.job.fail(f"its training time depends on {' and '.join(missing)}, not finished")
            return True
        state = run.status()[0]
        failed_now = state is State.FAILED and run.job.failed_at != self.failed_before[run]
        return failed_now or state in (State.FINISHED, State.CHANGED)


def show_grid(grid: Grid, console: Console) -> None:
    """Print the cells, and what each changes."""
    runs = grid_runs(grid)
    columns = [Column("cell", "cell"), Column("changes", f"differs from {grid.reference} in")]
    rows = [
        {"cell": name, "changes": ", ".join(grid.changes(cell))}
        for name, cell in grid.cells.items()
    ]
    console.print(results_table(rows, columns, grid.title))
    finished = sum(run.finished for run in runs)
    seeds = f"seeds {grid.seeds[0]} to {grid.seeds[-1]}"
    line = f"{len(runs)} runs, {seeds}, {finished} of them finished; in {grid.folder}"
    say(console, line)


def default_jobs(grid: Grid) -> int:
    """As many runs as fill the cores; one where torch uses all cores or trains on a GPU."""
    jobs = [cores()]
    for cell in grid.cells.values():
        threads = cell.config.fabric.threads
        alone = threads is None or run_device(cell.config).type != "cpu"
        jobs.append(1 if threads is None or alone else max(1, cores() // threads))
    return min(jobs)
