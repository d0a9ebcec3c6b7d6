"""Train the unfinished runs of a grid, and write its report."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from gcahng.ablation.cell_run import CellRun, State, grid_runs
from gcahng.ablation.grid import Grid
from gcahng.ablation.launchers import start_process, submitit_launcher
from gcahng.ablation.pool import Pool, default_jobs
from gcahng.ablation.progress import GridProgress
from gcahng.ablation.report import (
    command,
    read_verdict,
    read_warning,
    report_grid,
    table_columns,
    table_rows,
)
from gcahng.ablation.schedule import Schedule
from gcahng.ablation.summary import summarize
from gcahng.registry import lookup
from gcahng.reports.tables import Column, results_table
from gcahng.runs.claim import claim_holder, take_claim
from gcahng.runs.stopping import Stopped, heed_signals

# Columns that fit a terminal.
SHOWN = ("cell", "n", "recall@1", "map@r", "Δ map@r", "gain", "seconds", "work")
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
    if finished:
        again = "use --fresh to train again"
        _print(console, f"{finished} of {len(runs)} runs finished before; {again}")
    progress = GridProgress(todo, finished, at_a_time, console)
    try:
        with heed_signals():
            with progress.bars, closing(Pool(at_a_time, launch)) as pool:
                schedule = Schedule(todo, pool, progress)
                _train(schedule, lambda: report_grid(grid, out, details=False))
            written = report_grid(grid, out)
    except Stopped as stopped:
        written = report_grid(grid, out, details=False)
        again = command(grid, *_options(only, jobs, out, slurm))
        _print(console, f"{stopped}; report so far: {written}; continue with: {again}")
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
    _print(console, f"{len(runs)} runs, {seeds}, {finished} of them finished; in {grid.folder}")


def _print(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def _options(
    only: Sequence[str],
    jobs: int | None,
    out: str | Path | None,
    slurm: Mapping[str, str] | None,
) -> list[str]:
    options = [word for name in only for word in ("--only", name)]
    options += [] if jobs is None else ["--jobs", str(jobs)]
    options += [] if slurm is None else ["--launcher", "submitit"]
    options += [word for pair in (slurm or {}).items() for word in ("--slurm", "=".join(pair))]
    return options if out is None else [*options, "--out", str(out)]


def _show_results(grid: Grid, runs: Sequence[CellRun], written: Path, console: Console) -> bool:
    """Print the table and which runs failed; return whether none did."""
    summaries = summarize(grid)
    for line in read_warning(summaries):
        _print(console, line)
    columns = [column for column in table_columns(grid, summaries) if column.key in SHOWN]
    console.print(results_table(table_rows(grid, summaries), columns, grid.title))
    failed = [run.name for run in runs if not run.finished]
    lines = read_verdict(grid, summaries)
    if failed:
        lines.append(f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}")
    for line in (*lines, f"report: {written}", f"page: {written.with_suffix('.html')}"):
        _print(console, line)
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
    claims = {run: take_claim(run.claim) for run in runs}
    try:
        for run, claim in claims.items():
            if claim is None:
                raise ValueError(
                    f"--fresh: '{run.folder.path}' is being trained by {claim_holder(run.claim)}: "
                    "wait until it has ended, or stop it"
                )
        for run in runs:
            run.remove()
    finally:
        for claim in claims.values():
            if claim is not None:
                claim.release()


def _train(schedule: Schedule, report: Callable[[], object]) -> None:
    """Train runs until none is left, with reports in between."""
    reported, news = time.monotonic(), False
    while schedule.busy:
        news |= schedule.advance()
        if news and time.monotonic() - reported > REPORT:
            report()
            reported, news = time.monotonic(), False
        time.sleep(POLL)
