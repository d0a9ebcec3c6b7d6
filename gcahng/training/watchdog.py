"""End all processes of a training when one of them has ended."""

import os
import sys
import threading
import time
from contextlib import suppress
from types import TracebackType

from torch import distributed as dist
from torch.distributed.distributed_c10d import _get_default_store

from gcahng.processes import Group, rank, world_size
from gcahng.reasons import refusal
from gcahng.runs.stopping import INTERRUPTED, Stopped

# Seconds between two signs of life, and without one until a process counts as dead.
PERIOD, PATIENCE = 1.0, 20.0


class Watchdog:
    """Watch the other processes within the block; do nothing if there are none.

    Without it, the others would wait for a process that was killed until the exchange times out.
    Every process counts up in the store that the processes share. One whose count stands still is
    dead; the first of the others says so, and all end with status 1. If a process fails with an
    error, it reports the error and the others end without a word. If a signal stops a process, the
    others end with its exit status.

    Args:
        group: All processes of the training; None: there are no others.
    """

    def __init__(self, group: Group) -> None:
        self.number = rank(group)
        self.others = [other for other in range(world_size(group)) if other != self.number]

    def __enter__(self) -> "Watchdog":
        if self.others:
            self.store = dist.PrefixStore("gcahng", _get_default_store())
            self.ended = threading.Event()
            self.thread = threading.Thread(target=self._watch, daemon=True)
            self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self.others:
            return
        if isinstance(error, RuntimeError) and not _is_own(error):
            # An exchange broke off, most likely because another process ended: the thread that
            # watches finds out which one, and ends this process.
            time.sleep(PATIENCE + 5 * PERIOD)
        if isinstance(error, Stopped | KeyboardInterrupt):
            status = error.status if isinstance(error, Stopped) else INTERRUPTED
            self.ended.set()
            with suppress(RuntimeError):  # process 0, which keeps the store, may be gone
                self.store.set(f"stopped/{self.number}", str(status))
            time.sleep(3 * PERIOD)
        elif error is None or isinstance(error, SystemExit):
            self.store.set(f"ended/{self.number}", "1")
            # Process 0 keeps the store, so it leaves last.
            if self.number == 0:
                self._wait_for_others()
            self.ended.set()
        elif self.store.add("failures", 1) > 1:
            self.ended.set()
            if self.number == 0:
                # It keeps the store, to which the first that failed still writes.
                time.sleep(3 * PERIOD)
            raise SystemExit(1) from None
        else:
            self.ended.set()
            self.store.set(f"failed/{self.number}", "1")
            if self.number:
                error.args = (f"process {self.number}: {error}",)
            # Stay alive until the others have seen it.
            time.sleep(3 * PERIOD)

    def _wait_for_others(self) -> None:
        waited = time.monotonic()
        while time.monotonic() - waited < PATIENCE:
            if all(self.store.check([f"ended/{other}"]) for other in self.others):
                return
            time.sleep(PERIOD / 10)

    def _watch(self) -> None:
        """Show until the end that this process is alive, and check the others."""
        beats = 0
        last = {other: ("", time.monotonic()) for other in self.others}
        round_began = time.monotonic()
        while not self.ended.wait(PERIOD):
            beats += 1
            if time.monotonic() - round_began > PATIENCE / 2:
                # This process was suspended, for instance by Ctrl-Z; the others may have been too.
                last = {other: (beat, time.monotonic()) for other, (beat, _) in last.items()}
            round_began = time.monotonic()
            try:
                self.store.set(f"alive/{self.number}", str(beats))
                if any(self.store.check([f"failed/{other}"]) for other in self.others):
                    os._exit(1)
                left = [n for n in self.others if self.store.check([f"stopped/{n}"])]
                if left:
                    status = int(self.store.get(f"stopped/{left[0]}"))
                    # A signal usually reaches all of them: leave them the time to say so.
                    if not self.ended.wait(3 * PERIOD):
                        os._exit(status)
                dead = self._dead(last)
            except RuntimeError:
                # Process 0 keeps the store, so it has ended.
                dead = [0]
            if self.ended.is_set():
                return
            if dead:
                self._report(dead)

    def _dead(self, last: dict[int, tuple[str, float]]) -> list[int]:
        now = time.monotonic()
        for other, (beat, _) in list(last.items()):
            if self.store.check([f"ended/{other}"]):
                last[other] = (beat, now)
            elif self.store.check([f"alive/{other}"]):
                found = self.store.get(f"alive/{other}").decode()
                last[other] = last[other] if found == beat else (found, now)
        return [other for other, (_, seen) in last.items() if now - seen > PATIENCE]

    def _report(self, dead: list[int]) -> None:
        alive = [number for number in range(len(self.others) + 1) if number not in dead]
        if self.number == alive[0]:
            names = " and ".join(map(str, dead))
            print(
                f"error: process {names} of {len(self.others) + 1} has ended or does not answer, "
                "so the training was stopped; continue with --resume",
                file=sys.stderr,
                flush=True,
            )
        os._exit(1)


def _is_own(error: RuntimeError) -> bool:
    """Whether an error began in this process: not an exchange that another one broke off."""
    return isinstance(error, NotImplementedError) or refusal(error) is not None
