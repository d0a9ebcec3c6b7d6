"""Which run of a grid is trained next, with other processes working through the same grid."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gcahng.config import dump_config
from gcahng.jobs.claim import Claim, claim_holder, take_claim
from gcahng.jobs.pool import Job, Pool
from gcahng.reports.result_table import figure_columns
from gcahng.runs.record import figures_after, read_history
from gcahng.studies.run import CellRun, State
from gcahng.studies.summary import COMPARED

# Seconds until looking again at a run that another process holds.
LOOK = 2.0


class GridProgress:
    """A bar on a terminal, drawn within `with progress.bar:`, and a line for each run that ends.

    Args:
        total: How many runs there are.
        finished: How many have finished already.
        console: Where to draw.
    """

    def __init__(self, total: int, finished: int, console: Console) -> None:
        self.total, self.ended, self.failed, self.console = total, finished, 0, console
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            # By all runs so far, as one may take hours.
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            speed_estimate_period=1e9,
        )
        self.task = self.bar.add_task("runs", total=total, completed=finished)

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def update(self, training: Sequence[CellRun]) -> None:
        """Draw how far the runs in training are, by their epochs."""
        done = float(self.ended)
        for run in training:
            epochs = run.cell.config.train.epochs
            done += min(1.0, len(read_history(run.folder)) / max(1, epochs))
        self.bar.update(self.task, completed=done)

    def end(self, run: CellRun) -> None:
        """Count a run that has finished, failed or cannot be trained, and say so."""
        state, problem = run.status()
        self.ended += 1
        outcome = f"FAILED: {problem}"
        if state is State.FINISHED:
            record = run.record()
            figures = figures_after(record, "last", run.split)
            shown = [f"{c.title} {c.show(figures)} %" for c in figure_columns(COMPARED)]
            outcome = f"{', '.join(shown)}, {record.results['seconds']:.1f} s"
        else:
            self.failed += 1
        note = f"; {self.failed} failed" if self.failed else ""
        self.print(f"{self.ended}/{self.total} {run.name}: {outcome}{note}")


class Schedule:
    """The runs that are left, those in training, and those that others train.

    Close it to stop those in training.

    Args:
        todo: The runs to train.
        pool: Trains them.
        progress: Shows it.
    """

    def __init__(self, todo: Sequence[CellRun], pool: Pool, progress: GridProgress) -> None:
        self.waiting, self.pool, self.progress = list(todo), pool, progress
        self.training: dict[Job, tuple[CellRun, Claim]] = {}
        # What failed before is tried again, but not what fails elsewhere in the meantime.
        self.failed_before = {run: run.job.failed_at for run in todo}
        self.look_again: dict[CellRun, float] = {}
        self.waiting_reported = False

    @property
    def busy(self) -> bool:
        """Whether a run is left, or in training here."""
        return bool(self.waiting or self.training)

    def advance(self) -> bool:
        """Start what can be started; a run of equal time starts after those it waits for.

        Returns:
            Whether a run has ended.
        """
        before = self.progress.ended
        for job in self.pool.collect():
            run, claim = self.training.pop(job)
            claim.release()
            if run.status()[0] is State.OPEN:
                # Stopped by a signal, or taken over by another process.
                self.waiting.append(run)
                self.progress.print(f"{run.name}: stopped, to be continued; see '{job.log}'")
            else:
                self.progress.end(run)
        for run in list(self.waiting):
            if not self.pool.full and not self._must_wait(run):
                self._start(run)
        self.progress.update([run for run, _ in self.training.values()])
        if self.waiting and not self.training:
            self._report_waiting_once()
        return self.progress.ended > before

    def close(self) -> None:
        """Stop the runs in training."""
        try:
            self.pool.close()
        finally:
            for _, claim in self.training.values():
                claim.release()

    def _must_wait(self, run: CellRun) -> bool:
        unfinished = [*self.waiting, *(other for other, _ in self.training.values())]
        if any(other in unfinished for other in run.waits_for):
            return True
        return time.monotonic() < self.look_again.get(run, 0.0)

    def _start(self, run: CellRun) -> None:
        claim = None if self._has_ended(run) else take_claim(run.claim)
        # Look again: it may have ended between the look and the claim.
        if self._has_ended(run):
            self.waiting.remove(run)
            self.progress.end(run)
            if claim is not None:
                claim.release()
        elif claim is None:
            self.look_again[run] = time.monotonic() + LOOK
        else:
            self.waiting.remove(run)
            self.training[run.job] = run, claim
            config = run.config()
            assert config is not None
            self.pool.start(run.job, dump_config(config), claim)

    def _has_ended(self, run: CellRun) -> bool:
        """Whether a run has finished, has failed elsewhere, or cannot be trained."""
        missing = [other.name for other in run.waits_for if not other.finished]
        if missing:
            run.job.fail(f"its training time depends on {' and '.join(missing)}, not finished")
            return True
        state = run.status()[0]
        failed_now = state is State.FAILED and run.job.failed_at != self.failed_before[run]
        return failed_now or state in (State.FINISHED, State.CHANGED)

    def _report_waiting_once(self) -> None:
        """Say that only runs of other processes are left."""
        holders = {run.name: claim_holder(run.claim) for run in self.waiting}
        held = [f"{name} ({holder})" for name, holder in holders.items() if holder]
        if held and not self.waiting_reported:
            self.waiting_reported = True
            self.progress.print(f"waiting for what others train: {', '.join(held)}")
