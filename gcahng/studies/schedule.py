"""Which training is started next, with other processes working through the same folder."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Generic, TypeVar

from rich.console import Console

from gcahng.config import ExperimentConfig, dump_config
from gcahng.jobs.claim import Claim, claim_holder
from gcahng.jobs.pool import Job, Pool
from gcahng.jobs.process import Stopped, heed_signals

# Seconds between two checks of the processes, between two looks at what other processes hold, and
# the least between two interim reports.
POLL, LOOK, REPORT = 0.2, 2.0, 60.0
Item = TypeVar("Item")


def say(console: Console, line: str) -> None:
    """Print a line as it is."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


class Work(ABC, Generic[Item]):
    """What a grid or a study has to train: items of one or several trainings each."""

    @abstractmethod
    def take(self) -> tuple[Item, Claim | None] | None:
        """Claim an item that can be worked on now, or return one that has ended elsewhere."""

    @abstractmethod
    def next_job(self, item: Item) -> tuple[Job, ExperimentConfig] | None:
        """Return the item's first training that has not finished; None if the item has ended."""

    @abstractmethod
    def end(self, item: Item) -> str:
        """Conclude an item, and say how it ended."""

    @abstractmethod
    def left(self) -> Mapping[str, Path]:
        """Return what has not ended, and cannot be drawn anew: its claims by name."""

    def put_back(self, item: Item) -> None:
        """Leave an item whose training was stopped to whoever takes it next."""

    def falls_behind(self, item: Item) -> bool:
        """Look at the item's training; whether to stop it for good."""
        return False


class Schedule(Generic[Item]):
    """The trainings of this process; close it to stop them."""

    def __init__(self, work: Work[Item], pool: Pool, console: Console) -> None:
        self.work, self.pool, self.console = work, pool, console
        self.training: dict[Job, tuple[Item, Claim]] = {}
        self.ended, self.look_at, self.told = 0, 0.0, False

    @property
    def busy(self) -> bool:
        """Whether something is in training, here or elsewhere, or waits for it."""
        return bool(self.training or self.work.left())

    def advance(self) -> bool:
        """Start what can be started; return whether an item has ended."""
        before = self.ended
        behind = [job for job, (item, _) in self.training.items() if self.work.falls_behind(item)]
        for job in behind:
            self.pool.stop(job)
        for job in self.pool.collect():
            item, claim = self.training.pop(job)
            self.look_at = 0.0
            if job.finished or job.reason is not None or job in behind:
                self._go_on(item, claim)
            else:
                # Stopped by a signal, or taken over by another process.
                claim.release()
                self.work.put_back(item)
                say(self.console, f"{job.name}: stopped, to be continued; see '{job.log}'")
        if time.monotonic() >= self.look_at:
            while not self.pool.full and (found := self.work.take()):
                self._go_on(*found)
            self.look_at = time.monotonic() + LOOK
        if not (self.training or self.told):
            self._tell_holders_once()
        return self.ended > before

    def close(self) -> None:
        """Stop what is in training."""
        try:
            self.pool.close()
        finally:
            for _, claim in self.training.values():
                claim.release()

    def _go_on(self, item: Item, claim: Claim | None) -> None:
        """Start the next training of an item, or end it."""
        found = self.work.next_job(item)
        if found is None:
            self.ended += 1
            say(self.console, self.work.end(item))
            if claim is not None:
                claim.release()
        elif claim is None:
            # It had ended, and another process has begun it again since.
            self.work.put_back(item)
        else:
            job, config = found
            self.training[job] = item, claim
            self.pool.start(job, dump_config(config), claim)

    def _tell_holders_once(self) -> None:
        holders = {name: claim_holder(claim) for name, claim in self.work.left().items()}
        held = [f"{name} ({holder})" for name, holder in holders.items() if holder]
        if held:
            self.told = True
            say(self.console, f"waiting for what others train: {', '.join(held)}")


def work_through(
    work: Work[Item], pool: Pool, console: Console, report: Callable[[], Path]
) -> Path:
    """Train until nothing is left, here or elsewhere; report in between and at last."""
    reported, shown = time.monotonic(), 0
    try:
        with heed_signals():
            with closing(Schedule(work, pool, console)) as schedule:
                while schedule.advance() or schedule.busy:
                    if schedule.ended > shown and time.monotonic() - reported > REPORT:
                        report()
                        reported, shown = time.monotonic(), schedule.ended
                    time.sleep(POLL)
            return report()
    except Stopped as stopped:
        say(console, f"{stopped}; report so far: {report()}; the same command continues it")
        raise SystemExit(stopped.status) from None
