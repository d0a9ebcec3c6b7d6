"""How far a run is, told from what is on the disk."""

import pytest

from gcahng.studies.run import CellRun, State, grid_runs
from tests.gcahng.studies.conftest import TWO_CELLS, WriteGrid, finish

LONG = TWO_CELLS + "equal_time: {long: {of: npair, as: full}}"


def _run(runs: list[CellRun], name: str) -> CellRun:
    return next(run for run in runs if run.name == name)


def test_states(write_grid: WriteGrid) -> None:
    run = grid_runs(write_grid())[0]
    assert run.status() == (State.OPEN, "")
    run.job.fail("it broke")
    assert run.status() == (State.FAILED, "it broke")
    run.job.failure.unlink()
    finish(run, 0.5)
    assert run.status() == (State.FINISHED, "")


def test_other_settings_are_named(write_grid: WriteGrid) -> None:
    finish(grid_runs(write_grid())[0], 0.5)
    run = grid_runs(write_grid(TWO_CELLS.replace("dim: 8", "dim: 4, eval.every: 2")))[0]
    assert run.status() == (
        State.CHANGED,
        "'runs/ablations/grid/npair-seed0' was trained with other settings (embedder.dim, "
        "eval.every)",
    )


def test_where_data_are_read_is_not_part_of_an_experiment(write_grid: WriteGrid) -> None:
    finish(grid_runs(write_grid())[3], 0.5)
    moved = TWO_CELLS.replace("dim: 8", "dim: 8, data.root: elsewhere, data.workers: 2")
    run = grid_runs(write_grid(moved))[3]
    assert run.status() == (State.FINISHED, "")
    words = "grid/started/full-seed1.yaml --no-report --resume auto --run runs/ablations/grid/full-"
    assert words in " ".join(run.job.command)


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
