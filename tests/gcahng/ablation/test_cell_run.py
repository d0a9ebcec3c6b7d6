"""How far a run is, told from what is on the disk."""

import math

import pytest

from gcahng.ablation.cell_run import CellRun, State, grid_runs
from gcahng.config import load_config
from gcahng.runs.record import RunRecord, epochs_for, measured_work, work_clock
from tests.gcahng.ablation.conftest import TWO_CELLS, WriteGrid, finish

LONG = TWO_CELLS + "equal_time: {long: {of: npair, as: full}}"


def _run(runs: list[CellRun], name: str) -> CellRun:
    return next(run for run in runs if run.name == name)


def test_runs_come_seed_by_seed(write_grid: WriteGrid) -> None:
    text = TWO_CELLS.replace("cells: {", "cells: {a: {}, ")
    names = [run.name for run in grid_runs(write_grid(text))]
    assert names == [f"{cell}-seed{seed}" for seed in (0, 1) for cell in ("a", "npair", "full")]


def test_states(write_grid: WriteGrid) -> None:
    run = grid_runs(write_grid())[0]
    assert run.status() == (State.OPEN, "")
    run.fail("it broke")
    assert run.status() == (State.FAILED, "it broke")
    run.arguments()
    assert run.status() == (State.OPEN, "")
    finish(run, 0.5)
    assert run.status() == (State.FINISHED, "")
    run.remove()
    assert run.status() == (State.OPEN, "")


def test_other_settings_are_named(write_grid: WriteGrid) -> None:
    finish(grid_runs(write_grid())[0], 0.5)
    run = grid_runs(write_grid(TWO_CELLS.replace("dim: 8", "dim: 4, eval.every: 2")))[0]
    assert run.status() == (
        State.CHANGED,
        "'runs/ablations/grid/npair-seed0' was trained with other settings (embedder.dim, "
        "eval.every)",
    )


def test_a_run_begins_and_goes_on_with_the_settings_of_the_grid(write_grid: WriteGrid) -> None:
    run = grid_runs(write_grid())[3]
    folder = "runs/ablations/grid/full-seed1"
    wanted = [str(run.settings), "--no-report", "--resume", "auto", "--run", folder]
    assert run.arguments() == wanted
    assert load_config(run.settings) == run.config()
    finish(run, 0.5)
    moved = TWO_CELLS.replace("dim: 8", "dim: 8, data.root: elsewhere, data.workers: 2")
    run = grid_runs(write_grid(moved))[3]
    assert run.status() == (State.FINISHED, "")
    assert run.arguments() == wanted
    assert load_config(run.settings).data.root == "elsewhere"


def test_another_time_limit_is_another_experiment(write_grid: WriteGrid) -> None:
    finish(grid_runs(write_grid())[0], 0.5)
    run = grid_runs(write_grid(TWO_CELLS.replace("dim: 8", "dim: 8, train.max_seconds: 9")))[0]
    assert run.status()[0] is State.CHANGED


def test_only_runs_of_the_shown_cell_write_reports(write_grid: WriteGrid) -> None:
    runs = grid_runs(write_grid(TWO_CELLS + "show: full"))
    told = {run.name: "--no-report" in run.arguments() for run in runs}
    assert told == {"npair-seed0": True, "full-seed0": False, "npair-seed1": True} | {
        "full-seed1": False
    }


@pytest.mark.parametrize(("seconds", "epochs"), [(35.0, 4), (1.0, 1)])
def test_equal_time_is_measured_with_the_same_seed(
    write_grid: WriteGrid, seconds: float, epochs: int
) -> None:
    runs = grid_runs(write_grid(LONG))
    long = _run(runs, "long-seed1")
    assert long.config() is None
    assert long.status() == (State.OPEN, "")
    for run in runs[:4]:
        if not run.waits_for:
            finish(run, 0.5, seconds=1.0)
    finish(_run(runs, "npair-seed1"), 0.5, seconds=10.0)
    finish(_run(runs, "full-seed1"), 0.5, seconds=seconds)
    config = long.config()
    assert config is not None
    assert (config.name, config.seed, config.train.epochs) == ("long", 1, epochs)
    assert config.generator is None


@pytest.mark.parametrize(
    ("of", "as_long_as", "epochs"),
    [
        (4.0, 20.0, 5),
        (4.0, None, 2),
        (None, 20.0, 2),
        (None, None, 2),
    ],
)
def test_equal_time_goes_by_the_work_that_both_runs_measured(
    write_grid: WriteGrid, of: float | None, as_long_as: float | None, epochs: int
) -> None:
    """By the wall clock one takes twice as long as the other, by their work five times as long."""
    npair, full, long = grid_runs(write_grid(LONG, seeds=1))
    finish(npair, 0.5, seconds=10.0, work=of)
    finish(full, 0.5, seconds=20.0, work=as_long_as)
    config = long.config()
    assert config is not None
    assert config.train.epochs == epochs


@pytest.mark.parametrize("missing", [{}, {"work_seconds": None}, {"work_seconds": math.nan}])
def test_work_that_was_not_measured(missing: dict[str, float]) -> None:
    assert measured_work(missing) is None
    old = RunRecord("old", [{"seconds": 6.0, **missing}], {"epochs": 1, **missing}, "")
    # Begun by an earlier version and continued: its first epoch lacks what its second has.
    begun = RunRecord("begun", [old.history[0], {"seconds": 9.0, "work_seconds": 1.0}], {}, "")
    new = RunRecord("new", [{"seconds": 3.0, "work_seconds": 1.0}], {"epochs": 1}, "")
    assert work_clock([new]) == "work_seconds"
    for mixed in ([old], [new, old], [old, new], [begun], [new, begun]):
        assert work_clock(mixed) == "seconds"
    assert (epochs_for(old, new), epochs_for(new, new)) == (2, 1)
