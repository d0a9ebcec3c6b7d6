"""Several processes work through one grid; what one of them leaves, another takes over."""

import os
import signal
import time
from pathlib import Path

import pytest
from rich.console import Console

from gcahng.studies.ablate import run_grid
from gcahng.studies.run import CellRun, grid_runs
from gcahng.studies.schedule import Schedule
from tests.gcahng.studies.conftest import HEAD, TWO_CELLS, WriteGrid, start_second

pytestmark = pytest.mark.slow
SLOWER = TWO_CELLS.replace("embedder.dim: 8", "embedder.dim: 8, optim.embedder.lr: 3.0")


@pytest.mark.usefixtures("fake_train")
def test_two_processes_share_a_grid(
    write_grid: WriteGrid, console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = write_grid(SLOWER.replace("full: {}", "full: {}, bad: {optim.embedder.lr: 1e30}"), 2)
    with start_second() as other:
        assert not run_grid(grid, console, jobs=1)
        theirs, _ = other.communicate(timeout=60)
    assert other.returncode == 1, theirs
    ours = capsys.readouterr().out
    trained = Path("trained").read_text().splitlines()
    assert sorted(trained) == sorted(run.name for run in grid_runs(grid)), "each run once"
    for shown in (ours, theirs):
        lines = [line.split()[:3] for line in shown.splitlines()]
        assert ["npair", "2", "50.00"] in lines
        assert ["full", "2", "50.00"] in lines


@pytest.mark.usefixtures("fake_train")
def test_what_a_killed_process_leaves_is_taken_over(
    write_grid: WriteGrid,
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    say = Schedule._tell_holders_once

    def age(schedule: Schedule[CellRun]) -> None:
        """Then make the claim as old as if its holder had died long ago."""
        say(schedule)
        for claim in (grid.folder / "claims").glob(f"{npair.name}.*"):
            os.utime(claim, (1.0, 1.0))

    monkeypatch.setattr(Schedule, "_tell_holders_once", age)
    text = HEAD + "seeds: 1\ncells: {npair: {optim.embedder.lr: 5.0}, full: {}}"
    grid = write_grid(text)
    npair, full = grid_runs(grid)
    with start_second() as other:
        while not npair.folder.last.exists():
            time.sleep(0.02)
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()
        assert run_grid(grid, console, jobs=1)
    assert sorted(Path("trained").read_text().split()) == [full.name, npair.name, npair.name]
    assert npair.job.log.read_text().startswith("continued")
    shown = capsys.readouterr().out
    assert f"waiting for what others train: {npair.name} (" in shown
    assert f"process {other.pid})" in shown
