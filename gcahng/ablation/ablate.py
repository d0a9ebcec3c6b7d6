"""Train a grid as far as it is not trained yet, and report it as it goes."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from gcahng.ablation.cell_run import CellRun, State, grid_runs
from gcahng.ablation.grid import Grid
from gcahng.ablation.pool import Pool, default_jobs, exclusive_lock
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

# Columns that fit a terminal.
SHOWN = ("cell", "n", "recall@1", "map@r", "Δ map@r", "seconds")
# Seconds between two looks at the processes, and at least between two reports, which take some.
POLL, REPORT = 0.2, 60.0


def run_grid(
    grid: Grid,
    console: Console,
    only: Sequence[str] = (),
    jobs: int | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
) -> bool:
    """Train every run that has not finished and write the report.

    Args:
        grid: The grid.
        console: Where to print.
        only: Names of cells to train, with those that they need; by default all.
        jobs: How many runs to train at a time; by default as many as fill the cores.
        out: Folder of the results; by default the runs' own.
        fresh: Delete the runs first; of `only`, without those that they need.

    Returns:
        Whether all of them have finished; those that fail do not keep the others from it.

    Raises:
        ValueError: If there is no such cell, a run was trained with other settings, or another
            process works on the grid.
        SystemExit: If it is interrupted.
    """
    runs = _chosen(grid, only)
    at_a_time = jobs or default_jobs(grid)
    with exclusive_lock(grid.folder) as claim:
        for run in runs:
            # What the named cells need is not theirs to delete.
            if fresh and run.cell.name in (only or grid.cells):
                run.remove()
        _refuse_changed(runs)
        todo = [run for run in runs if not run.finished]
        try:
            with (
                GridProgress(todo, len(runs) - len(todo), at_a_time, console) as progress,
                Pool(at_a_time, claim) as pool,
            ):
                _train(todo, pool, progress, lambda: report_grid(grid, out))
        except KeyboardInterrupt:
            way_on = command(grid, *_options(only, jobs, out))
            line = f"interrupted; report so far: {report_grid(grid, out)}; continue with: {way_on}"
            console.print(line, soft_wrap=True, highlight=False, markup=False)
            raise SystemExit(130) from None
        written = report_grid(grid, out)
    return _show_results(grid, runs, written, console)


def show_grid(grid: Grid, console: Console) -> None:
    """Print the cells and what each changes in the reference, without training."""
    columns = [Column("cell", "cell"), Column("changes", f"other than in {grid.reference}")]
    rows = [
        {"cell": name, "changes": ", ".join(grid.changes(cell))}
        for name, cell in grid.cells.items()
    ]
    console.print(results_table(rows, columns, grid.title))
    runs = grid_runs(grid)
    finished = sum(run.finished for run in runs)
    seeds = f"seeds {grid.seeds[0]} to {grid.seeds[-1]}"
    line = f"{len(runs)} runs, {seeds}, of which {finished} have finished; in {grid.folder}"
    console.print(line, soft_wrap=True, highlight=False)


def _options(only: Sequence[str], jobs: int | None, out: str | Path | None) -> list[str]:
    options = [word for name in only for word in ("--only", name)]
    options += [] if jobs is None else ["--jobs", str(jobs)]
    return options if out is None else [*options, "--out", str(out)]


def _show_results(grid: Grid, runs: Sequence[CellRun], written: Path, console: Console) -> bool:
    """Print the table and which runs failed; whether none did."""
    columns = [column for column in table_columns() if column.key in SHOWN]
    summaries = summarize(grid)
    console.print(results_table(table_rows(grid, summaries), columns, grid.title))
    failed = [run.name for run in runs if not run.finished]
    lines = read_verdict(grid, summaries)
    if failed:
        lines.append(f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}")
    for line in (*lines, f"report: {written}"):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    return not failed


def _chosen(grid: Grid, only: Sequence[str]) -> list[CellRun]:
    names = set(only or grid.cells)
    for name in only:
        names.update(lookup(grid.cells, name, "cell").needs)
    return [run for run in grid_runs(grid) if run.cell.name in names]


def _refuse_changed(runs: Sequence[CellRun]) -> None:
    looks = [run.status() for run in runs]
    lines = [problem for state, problem in looks if state is State.CHANGED]
    if lines:
        lines[-1] += ": start over with --fresh, or give the grid's file another name"
        raise ValueError("\n".join(lines))


def _train(
    todo: Sequence[CellRun], pool: Pool, progress: GridProgress, report: Callable[[], object]
) -> None:
    """Train runs until none is left; those of equal time after the ones that they need."""
    waiting, reported, news = list(todo), time.monotonic(), False
    while waiting or pool.running:
        for run in pool.ended():
            progress.ended(run)
            news = True
        for run in [run for run in waiting if not _must_wait(run, waiting, pool)]:
            if len(pool.running) < pool.jobs:
                waiting.remove(run)
                _begin(run, pool, progress)
        progress.update()
        if news and time.monotonic() - reported > REPORT:
            report()
            reported, news = time.monotonic(), False
        time.sleep(POLL)


def _must_wait(run: CellRun, waiting: Sequence[CellRun], pool: Pool) -> bool:
    return any(need in waiting or need in pool.running for need in run.needs)


def _begin(run: CellRun, pool: Pool, progress: GridProgress) -> None:
    missing = [need.name for need in run.needs if not need.finished]
    if missing:
        run.fail(f"it takes its time from {' and '.join(missing)}, without figures")
    if missing or run.status()[0] in (State.FINISHED, State.CHANGED):
        progress.ended(run)
    else:
        pool.start(run)
        progress.started(run)
