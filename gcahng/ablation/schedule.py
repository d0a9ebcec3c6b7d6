"""Which run of a grid is trained next, with other processes working through the same grid."""

import time
from collections.abc import Sequence

from gcahng.ablation.cell_run import CellRun, State
from gcahng.ablation.pool import Pool
from gcahng.ablation.progress import GridProgress
from gcahng.runs.claim import claim_holder, take_claim

# Seconds until looking again at a run that another process holds.
LOOK = 2.0


class Schedule:
    """The runs that are left, those in training, and those that others train.

    Args:
        todo: The runs to train.
        pool: Trains them.
        progress: Shows it.
    """

    def __init__(self, todo: Sequence[CellRun], pool: Pool, progress: GridProgress) -> None:
        self.waiting, self.pool, self.progress = list(todo), pool, progress
        # What failed before is tried again, but not what fails elsewhere in the meantime.
        self.failed_before = {run: run.failed_at() for run in todo}
        self.look_again: dict[CellRun, float] = {}
        self.said = False

    @property
    def busy(self) -> bool:
        """Whether a run is left, or in training here."""
        return bool(self.waiting or self.pool.running)

    def advance(self) -> bool:
        """Start what can be started; a run of equal time starts after those it waits for.

        Returns:
            Whether a run has ended.
        """
        before = len(self.progress.open)
        for run in self.pool.collect():
            if run.status()[0] is State.OPEN:
                # Stopped by a signal, or taken over by another process.
                self.waiting.append(run)
                self.progress.stopped(run)
            else:
                self.progress.ended(run)
        for run in list(self.waiting):
            if len(self.pool.running) < self.pool.jobs and not self._must_wait(run):
                self._start(run)
        self.progress.update()
        if self.waiting and not self.pool.running:
            self._say_who_trains()
        return len(self.progress.open) < before

    def _must_wait(self, run: CellRun) -> bool:
        if any(other in self.waiting or other in self.pool.running for other in run.waits_for):
            return True
        return time.monotonic() < self.look_again.get(run, 0.0)

    def _start(self, run: CellRun) -> None:
        if self._has_ended(run):
            self._end(run)
            return
        claim = take_claim(run.claim)
        if claim is None:
            self.look_again[run] = time.monotonic() + LOOK
        elif self._has_ended(run):
            # It ended between the look and the claim.
            claim.release()
            self._end(run)
        else:
            self.waiting.remove(run)
            self.pool.start(run, claim)
            self.progress.started(run)

    def _has_ended(self, run: CellRun) -> bool:
        """Whether a run has finished, has failed elsewhere, or cannot be trained."""
        missing = [other.name for other in run.waits_for if not other.finished]
        if missing:
            run.fail(f"its training time depends on {' and '.join(missing)}, not finished")
            return True
        state = run.status()[0]
        failed_now = state is State.FAILED and run.failed_at() != self.failed_before[run]
        return failed_now or state in (State.FINISHED, State.CHANGED)

    def _end(self, run: CellRun) -> None:
        self.waiting.remove(run)
        self.progress.ended(run)

    def _say_who_trains(self) -> None:
        """Say once that only runs of other processes are left."""
        holders = {run.name: claim_holder(run.claim) for run in self.waiting}
        held = [f"{name} ({holder})" for name, holder in holders.items() if holder]
        if held and not self.said:
            self.said = True
            line = f"waiting for what others train: {', '.join(held)}"
            self.progress.console.print(line, soft_wrap=True, highlight=False, markup=False)
