"""Train the unfinished runs of a grid, and write its report."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from gcahng.jobs.claim import claim_holder, take_claim
from gcahng.jobs.pool import Pool
from gcahng.jobs.process import Stopped, cores, heed_signals, start_process
from gcahng.jobs.slurm import submitit_launcher
from gcahng.registry import lookup
from gcahng.reports.tables import Column, results_table
from gcahng.runs.loading import run_device
from gcahng.studies.grid import Grid
from gcahng.studies.report import (
    GAIN,
    read_verdict,
    report_grid,
    table_columns,
    table_rows,
)
from gcahng.studies.run import CellRun, State, grid_runs
from gcahng.studies.schedule import GridProgress, Schedule
from gcahng.studies.summary import below_features, summarize

# Columns that fit a terminal.
SHOWN = ("cell", "n", "recall@1", "map@r", "Δ map@r", "gain", "seconds")
# Seconds between two checks of the processes, and the least between two interim reports.
POLL, REPORT = 0.2, 60.0


def run_grid(
    grid: Grid,
    console: Console,
    only: Sequence[str] = (),
    jobs: int | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    slurm: Mapping[str, str] | None = None,
) -> bool:
    """Train every run that has not finished, write the report and print its table.

    Several processes, also on several machines, may do so in one folder at the same time: each run
    is trained by one of them, and all return when the last has finished.

    Args:
        grid: The grid.
        console: Where to print.
        only: Names of the cells to train, with the cells that they depend on; default all.
        jobs: How many runs to train at a time; default as many as fill the cores.
        out: Folder of the report; default the folder of the runs.
        fresh: Delete the runs first; with `only`, the runs of those cells.
        slurm: Train each run as a job of SLURM with these options, see `submitit_launcher`; None
            trains on this machine.

    Returns:
        Whether all runs have finished; a run that fails does not stop the others.

    Raises:
        ValueError: If a cell is unknown, a run was trained with other settings, or one to delete is
            being trained.
        SystemExit: If a signal stops it.
    """
    runs = _selected(grid, only)
    launch = start_process if slurm is None else submitit_launcher(grid.folder / "slurm", slurm)
    # A cluster has its own queue.
    at_a_time = jobs or (default_jobs(grid) if slurm is None else len(runs))
    if fresh:
        # Keep the cells that the named ones depend on.
        _remove([run for run in runs if run.cell.name in (only or grid.cells)])
    _refuse_changed(runs)
    todo = [run for run in runs if not run.finished]
    finished = len(runs) - len(todo)
    progress = GridProgress(len(runs), finished, console)
    if finished:
        progress.print(
            f"{finished} of {len(runs)} runs finished before; use --fresh to train again"
        )
    try:
        with heed_signals():
            schedule = Schedule(todo, Pool(at_a_time, launch), progress)
            with progress.bar, closing(schedule):
                _train(grid, schedule, out)
            written = report_grid(grid, out)
    except Stopped as stopped:
        written = report_grid(grid, out, details=False)
        progress.print(f"{stopped}; report so far: {written}; the same command continues it")
        raise SystemExit(stopped.status) from None
    return _show_results(grid, runs, written, console)


def show_grid(grid: Grid, console: Console, only: Sequence[str] = ()) -> None:
    """Print the cells and what each changes in the reference, without training.

    Args:
        grid: The grid.
        console: Where to print.
        only: Names of the cells to print, with those that they need; by default all.

    Raises:
        ValueError: If there is no such cell.
    """
    runs = _selected(grid, only)
    names = {run.cell.name for run in runs}
    columns = [Column("cell", "cell"), Column("changes", f"differs from {grid.reference} in")]
    rows = [
        {"cell": name, "changes": ", ".join(grid.changes(cell))}
        for name, cell in grid.cells.items()
        if name in names
    ]
    console.print(results_table(rows, columns, grid.title))
    finished = sum(run.finished for run in runs)
    seeds = f"seeds {grid.seeds[0]} to {grid.seeds[-1]}"
    line = f"{len(runs)} runs, {seeds}, {finished} of them finished; in {grid.folder}"
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def default_jobs(grid: Grid) -> int:
    """As many runs as fill the cores; one where torch uses all cores or trains on a GPU."""
    jobs = [cores()]
    for cell in grid.cells.values():
        threads = cell.config.fabric.threads
        alone = threads is None or run_device(cell.config).type != "cpu"
        jobs.append(1 if threads is None or alone else max(1, cores() // threads))
    return min(jobs)


def _train(grid: Grid, schedule: Schedule, out: str | Path | None) -> None:
    """Train runs until none is left, with reports in between."""
    reported, news = time.monotonic(), False
    while schedule.busy:
        news |= schedule.advance()
        if news and time.monotonic() - reported > REPORT:
            report_grid(grid, out, details=False)
            reported, news = time.monotonic(), False
        time.sleep(POLL)


def _show_results(grid: Grid, runs: Sequence[CellRun], written: Path, console: Console) -> bool:
    """Print the table and which runs failed; return whether none did."""
    summaries = summarize(grid)
    columns = [column for column in table_columns(grid, summaries) if column.key in SHOWN]
    table = results_table(table_rows(grid, summaries), columns, grid.title)
    failed = [run.name for run in runs if not run.finished]
    lines = read_verdict(grid, summaries)
    if failed:
        lines.append(f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}")
    lines += [f"report: {written}", f"page: {written.with_suffix('.html')}"]
    for line in (*below_features(summaries, GAIN, "MAP@R"), table, *lines):
        console.print(line, soft_wrap=isinstance(line, str), highlight=False, markup=False)
    return not failed


def _selected(grid: Grid, only: Sequence[str]) -> list[CellRun]:
    names = set(only or grid.cells)
    for name in only:
        names.update(lookup(grid.cells, name, "cell").waits_for)
    return [run for run in grid_runs(grid) if run.cell.name in names]


def _refuse_changed(runs: Sequence[CellRun]) -> None:
    found = [run.status() for run in runs]
    lines = [problem for state, problem in found if state is State.CHANGED]
    if lines:
        lines[-1] += ": give the grid's file another name, or delete the runs with --fresh"
        raise ValueError("\n".join(lines))


def _remove(runs: Sequence[CellRun]) -> None:
    """Delete runs, none if one of them is being trained."""
    claims = []
    try:
        for run in runs:
            claim = take_claim(run.claim)
            if claim is None:
                raise ValueError(
                    f"--fresh: '{run.folder.path}' is being trained by {claim_holder(run.claim)}: "
                    "wait until it has ended, or stop it"
                )
            claims.append(claim)
        for run in runs:
            run.remove()
    finally:
        for claim in claims:
            claim.release()
