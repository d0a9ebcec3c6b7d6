"""Train the unfinished runs of a grid, and write its report."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from gcahng.ablation.cell_run import CellRun, State, grid_runs
from gcahng.ablation.grid import Grid
from gcahng.ablation.pool import Pool, default_jobs
from gcahng.ablation.progress import GridProgress
from gcahng.ablation.report import (
    command,
    read_verdict,
    report_grid,
    table_columns,
    table_rows,
)
from gcahng.ablation.summary import summarize
from gcahng.registry import lookup
from gcahng.reports.tables import Column, results_table
from gcahng.runs.lock import exclusive_lock

# Columns that fit a terminal.
SHOWN = ("cell", "n", "recall@1", "map@r", "Δ map@r", "seconds", "work")
# Seconds between two checks of the processes, and the least between two interim reports.
POLL, REPORT = 0.2, 60.0


def run_grid(
    grid: Grid,
    console: Console,
    only: Sequence[str] = (),
    jobs: int | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
) -> bool:
    """Train every run that has not finished, write the report and print its table.

    Args:
        grid: The grid.
        console: Where to print.
        only: Names of the cells to train, with the cells that they depend on; default all.
        jobs: How many runs to train at a time; default as many as fill the cores.
        out: Folder of the report; default the folder of the runs.
        fresh: Delete the runs first; with `only`, the runs of those cells.

    Returns:
        Whether all runs have finished; a run that fails does not stop the others.

    Raises:
        ValueError: If a cell is unknown, a run was trained with other settings, or another process
            is working on the grid.
        SystemExit: If it is interrupted.
    """
    runs = _selected(grid, only)
    at_a_time = jobs or default_jobs(grid)
    with exclusive_lock(grid.folder) as lock:
        for run in runs:
            # Keep the cells that the named ones depend on.
            if fresh and run.cell.name in (only or grid.cells):
                run.remove()
        _refuse_changed(runs)
        todo = [run for run in runs if not run.finished]
        finished = len(runs) - len(todo)
        if finished:
            again = "use --fresh to train again"
            _print(console, f"{finished} of {len(runs)} runs finished before; {again}")
        progress = GridProgress(todo, finished, at_a_time, console)
        try:
            with progress.bars, closing(Pool(at_a_time, lock)) as pool:
                _train(todo, pool, progress, lambda: report_grid(grid, out, details=False))
        except KeyboardInterrupt:
            written = report_grid(grid, out, details=False)
            again = command(grid, *_options(only, jobs, out))
            _print(console, f"interrupted; report so far: {written}; continue with: {again}")
            raise SystemExit(130) from None
        written = report_grid(grid, out)
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


def _options(only: Sequence[str], jobs: int | None, out: str | Path | None) -> list[str]:
    options = [word for name in only for word in ("--only", name)]
    options += [] if jobs is None else ["--jobs", str(jobs)]
    return options if out is None else [*options, "--out", str(out)]


def _show_results(grid: Grid, runs: Sequence[CellRun], written: Path, console: Console) -> bool:
    """Print the table and which runs failed; return whether none did."""
    summaries = summarize(grid)
    columns = [column for column in table_columns(summaries) if column.key in SHOWN]
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
        lines[-1] += ": start over with --fresh, or give the grid's file another name"
        raise ValueError("\n".join(lines))


def _train(
    todo: Sequence[CellRun], pool: Pool, progress: GridProgress, report: Callable[[], object]
) -> None:
    """Train runs until none is left; a run of equal time starts after those it waits for."""
    waiting, reported, news = list(todo), time.monotonic(), False
    while waiting or pool.running:
        for run in pool.collect():
            progress.ended(run)
            news = True
        for run in [run for run in waiting if not _must_wait(run, waiting, pool)]:
            if len(pool.running) < pool.jobs:
                waiting.remove(run)
                _start(run, pool, progress)
        progress.update()
        if news and time.monotonic() - reported > REPORT:
            report()
            reported, news = time.monotonic(), False
        time.sleep(POLL)


def _must_wait(run: CellRun, waiting: Sequence[CellRun], pool: Pool) -> bool:
    return any(other in waiting or other in pool.running for other in run.waits_for)


def _start(run: CellRun, pool: Pool, progress: GridProgress) -> None:
    missing = [other.name for other in run.waits_for if not other.finished]
    if missing:
        run.fail(f"its training time depends on {' and '.join(missing)}, not finished")
    if missing or run.status()[0] in (State.FINISHED, State.CHANGED):
        progress.ended(run)
    else:
        pool.start(run)
        progress.started(run)
