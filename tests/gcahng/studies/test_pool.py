"""Runs in processes: how many at a time, on which GPU, and what happens when one is stopped."""

import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from gcahng.jobs import pool
from gcahng.jobs.claim import Claim, claim_holder, take_claim
from gcahng.jobs.pool import Job, Pool
from gcahng.studies import ablate
from gcahng.studies.ablate import default_jobs, run_grid
from gcahng.studies.run import CellRun, grid_runs
from gcahng.studies.schedule import Schedule
from tests.gcahng.studies.conftest import HEAD, WriteGrid

pytestmark = pytest.mark.slow


def _told(one: CellRun) -> str:
    """What the run's process was told last."""
    return one.job.log.read_text()


@pytest.mark.usefixtures("fake_train")
def test_two_jobs_are_two_at_a_time(
    write_grid: WriteGrid, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, start = [], Pool.start

    def count(self: Pool, job: Job, settings: str, claim: Claim) -> None:
        start(self, job, settings, claim)
        together.append(len(self.running))

    monkeypatch.setattr(Pool, "start", count)
    grid = write_grid()
    assert run_grid(grid, console, jobs=2)
    assert max(together) == together[1] == 2
    assert all("with threads: 1" in _told(one) for one in grid_runs(grid))


@pytest.mark.usefixtures("fake_train")
@pytest.mark.parametrize("end", ["sys.exit(75)", "os.kill(os.getpid(), 15)"])
def test_a_run_that_a_signal_stops_is_continued(
    end: str, write_grid: WriteGrid, console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = Path("fake_train.py")
    stop = f"if not continued: {end}\nrate = "
    fake.write_text(fake.read_text().replace("rate = ", stop, 1))
    grid = write_grid(seeds=1)
    assert run_grid(grid, console, jobs=1)
    shown = capsys.readouterr().out
    assert "npair-seed0: stopped, to be continued" in shown
    assert "FAILED" not in shown
    assert all(_told(one).startswith("continued") for one in grid_runs(grid))
    assert Path("trained").read_text().split().count("npair-seed0") == 2


@pytest.mark.usefixtures("fake_train", "heeds_interrupts")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_an_interrupted_grid_goes_on(
    number: int,
    status: int,
    write_grid: WriteGrid,
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = HEAD + "seeds: 1\ncells: {npair: {generator: null}, slow: {optim.embedder.lr: 5.0}}"
    grid = write_grid(text)
    npair, slow = grid_runs(grid)
    look = Schedule.advance

    def stop(schedule: Schedule[CellRun]) -> bool:
        ended = look(schedule)
        if npair.finished and slow.folder.last.exists() and "started" in _told(slow):
            os.kill(os.getpid(), number)
        return ended

    monkeypatch.setattr(pool, "PATIENCE", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(Schedule, "advance", stop)
        with pytest.raises(SystemExit) as info:
            run_grid(grid, console, jobs=2)
    assert info.value.code == status
    shown = capsys.readouterr().out
    assert f"{'interrupted' if status == 130 else 'stopped by a signal'}; report so far" in shown
    assert "the same command continues it" in shown
    report = Path("runs/ablations/grid/grid.md").read_text(encoding="utf-8")
    assert "1 of 2 runs have finished" in report
    assert "## Failed" not in report
    assert all(claim_holder(one.claim) is None for one in (npair, slow))
    assert run_grid(grid, console)
    assert _told(slow).startswith("continued")


def test_jobs_fill_the_cores(write_grid: WriteGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablate, "cores", lambda: 8)
    monkeypatch.setattr(pool, "cores", lambda: 8)
    assert default_jobs(write_grid(HEAD + "cells: {npair: {fabric.threads: 1}}")) == 8
    text = HEAD + "cells: {npair: {fabric.threads: 1}, a: {fabric.threads: 3}}"
    assert default_jobs(write_grid(text)) == 2
    grid = write_grid(HEAD + "cells: {npair: {fabric.threads: null}}")
    assert default_jobs(grid) == 1
    npair = grid_runs(grid)[0]
    claim = take_claim(npair.claim)
    assert claim is not None
    share = Pool(2)._environment(npair.job, claim)
    claim.release()
    assert share["OMP_NUM_THREADS"] == "4"
