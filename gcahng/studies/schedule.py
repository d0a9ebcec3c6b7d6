"""Which run of a grid is trained next, with other processes working through the same grid."""

import time
from collections.abc import Sequence

from gcahng.config import dump_config
from gcahng.jobs.claim import Claim, claim_holder, take_claim
from gcahng.jobs.pool import Job, Pool
from gcahng.studies.progress import GridProgress
from gcahng.studies.run import CellRun, State

# Seconds until looking again at a run that another process holds.
LOOK = 2.0


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
        self.failed_before = {run: _failed_at(run) for run in todo}
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
        before = len(self.progress.open)
        for job in self.pool.collect():
            run, claim = self.training.pop(job)
            claim.release()
            if run.status()[0] is State.OPEN:
                # Stopped by a signal, or taken over by another process.
                self.waiting.append(run)
                self.progress.stopped(run)
            else:
                self.progress.ended(run)
        for run in list(self.waiting):
            if not self.pool.full and not self._must_wait(run):
                self._start(run)
        self.progress.update()
        if self.waiting and not self.training:
            self._report_waiting_once()
        return len(self.progress.open) < before

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
            self.progress.ended(run)
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
            self.progress.started(run, config.train.epochs)

    def _has_ended(self, run: CellRun) -> bool:
        """Whether a run has finished, has failed elsewhere, or cannot be trained."""
        missing = [other.name for other in run.waits_for if not other.finished]
        if missing:
            run.job.fail(f"its training time depends on {' and '.join(missing)}, not finished")
            return True
        state = run.status()[0]
        failed_now = state is State.FAILED and _failed_at(run) != self.failed_before[run]
        return failed_now or state in (State.FINISHED, State.CHANGED)

    def _report_waiting_once(self) -> None:
        """Say that only runs of other processes are left."""
        holders = {run.name: claim_holder(run.claim) for run in self.waiting}
        held = [f"{name} ({holder})" for name, holder in holders.items() if holder]
        if held and not self.waiting_reported:
            self.waiting_reported = True
            self.progress.print(f"waiting for what others train: {', '.join(held)}")


def _failed_at(run: CellRun) -> int | None:
    """When a run failed, as the file system has it; None if it has not."""
    try:
        return run.job.failure.stat().st_mtime_ns
    except FileNotFoundError:
        return None
