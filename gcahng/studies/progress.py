"""Progress of a grid: a bar over all runs, and one for each run being trained."""

import time
from collections.abc import Sequence
from statistics import mean

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from gcahng.reports.result_table import figure_columns
from gcahng.runs.record import figures_after, read_history
from gcahng.studies.run import CellRun, State
from gcahng.studies.summary import COMPARED


class GridProgress:
    """Bars on a terminal; elsewhere a line for each run that has ended.

    The bars are drawn within `with progress.bars:`.

    Args:
        todo: The runs to train.
        finished: How many other runs have finished already.
        jobs: How many runs are trained at a time.
        console: Where to draw.
    """

    def __init__(self, todo: Sequence[CellRun], finished: int, jobs: int, console: Console) -> None:
        self.open, self.total, self.jobs = list(todo), finished + len(todo), jobs
        self.console = console
        self.done, self.failed = finished, 0
        self.started_at: dict[CellRun, float] = {}
        self.tasks: dict[CellRun, TaskID] = {}
        self.seconds: dict[str, list[float]] = {}
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.all = self.bars.add_task("runs", total=self.total, completed=finished, note="")

    def print(self, line: str) -> None:
        """Print a line above the bars."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def started(self, run: CellRun, epochs: int) -> None:
        """Add a bar for a run that starts or continues."""
        self.started_at[run] = time.monotonic()
        self.tasks[run] = self.bars.add_task(run.name, total=epochs, note="epochs")

    def stopped(self, run: CellRun) -> None:
        """Say that a run has ended before it was finished."""
        self.bars.remove_task(self.tasks.pop(run))
        self.print(f"{run.name}: stopped, to be continued; its last words are in '{run.job.log}'")

    def update(self) -> None:
        """Advance the bars to the epochs that have ended."""
        for run, task in self.tasks.items():
            self.bars.update(task, completed=len(read_history(run.folder)))
        self.bars.update(self.all, completed=self.done + self.failed, note=self._note())

    def ended(self, run: CellRun) -> None:
        """Count a run that has finished, failed or cannot be trained."""
        self.open.remove(run)
        if run in self.tasks:
            self.bars.remove_task(self.tasks.pop(run))
        state, problem = run.status()
        finished = state is State.FINISHED
        self.done += finished
        self.failed += not finished
        if finished and run in self.started_at:
            seconds = time.monotonic() - self.started_at[run]
            self.seconds.setdefault(run.cell.name, []).append(seconds)
        if not finished or not self.console.is_terminal:
            outcome = _figures(run) if finished else f"FAILED: {problem}"
            note = self._note()
            count = f"{self.done + self.failed}/{self.total}"
            self.print(f"{count} {run.name}: {outcome}{'; ' if note else ''}{note}")

    def _note(self) -> str:
        parts = [f"{self.failed} failed"] if self.failed else []
        left = self.seconds_left()
        if left is not None and left >= 1:
            parts.append(f"about {_duration(left)} left")
        return ", ".join(parts)

    def seconds_left(self) -> float | None:
        """Estimate the time left from finished runs, those of the same cell where there are any."""
        known = [seconds for times in self.seconds.values() for seconds in times]
        if not known:
            return None
        now, total = time.monotonic(), 0.0
        for run in self.open:
            expected = mean(self.seconds.get(run.cell.name, known))
            total += max(0.0, expected - (now - self.started_at.get(run, now)))
        return total / max(1, min(self.jobs, len(self.open)))


def _figures(run: CellRun) -> str:
    record = run.record()
    figures = figures_after(record, "last", run.split)
    shown = [f"{column.title} {column.show(figures)} %" for column in figure_columns(COMPARED)]
    return f"{', '.join(shown)}, {record.results['seconds']:.1f} s"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
