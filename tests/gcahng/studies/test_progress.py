"""Bars on a terminal, lines elsewhere, and an estimate of what is left."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from gcahng.studies import progress as module
from gcahng.studies.progress import GridProgress
from gcahng.studies.run import grid_runs
from tests.gcahng.studies.conftest import WriteGrid, finish


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time that passes when it is told to."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_lines_without_a_terminal(write_grid: WriteGrid, clock: SimpleNamespace) -> None:
    console = Console(file=io.StringIO(), width=80)
    runs = grid_runs(write_grid())
    progress = GridProgress(runs, 1, 2, console)
    with progress.bars:
        progress.started(runs[0], 2)
        clock.now = 200.0
        finish(runs[0], 0.5)
        progress.ended(runs[0])
        runs[1].job.fail("it broke")
        progress.ended(runs[1])
        progress.update()
    assert console.file.getvalue().splitlines() == [
        "2/5 npair-seed0: R@1 50.00 %, MAP@R 25.00 %, 10.0 s; about 5 min left",
        "3/5 full-seed0: FAILED: it broke; 1 failed, about 3 min left",
    ]


def test_what_is_left_goes_by_the_cell(write_grid: WriteGrid, clock: SimpleNamespace) -> None:
    runs = grid_runs(write_grid(seeds=3))
    progress = GridProgress(runs, 0, 2, Console(file=io.StringIO()))
    assert progress.seconds_left() is None
    for run, seconds in zip(runs[:2], (10.0, 30.0), strict=True):
        progress.started(run, 2)
        clock.now += seconds
        finish(run, 0.5)
        progress.ended(run)
    progress.started(runs[2], 2)
    clock.now += 4.0
    # 6 s of a run of 10 s, one more, and two of 30 s; two at a time.
    assert progress.seconds_left() == (6 + 10 + 30 + 30) / 2


def test_bars_on_a_terminal(write_grid: WriteGrid) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=90)
    runs = grid_runs(write_grid(seeds=1))
    progress = GridProgress(runs, 0, 2, console)
    with progress.bars:
        progress.started(runs[0], 2)
        runs[0].folder.path.mkdir(parents=True)
        runs[0].folder.write_metrics([{"epoch": 1}])
        progress.update()
        assert progress.bars.tasks[1].completed == 1
        progress.bars.refresh()
        runs[1].job.fail("it broke")
        progress.ended(runs[1])
    shown = console.file.getvalue()
    assert "npair-seed0" in shown
    assert "1/2" in shown
    assert "1/2 full-seed0: FAILED: it broke; 1 failed" in shown
