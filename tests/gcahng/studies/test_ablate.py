"""Training a grid: what is trained and what not, side by side, and what breaks."""

import sys
from pathlib import Path

import pytest
from rich.console import Console

from gcahng.jobs import pool
from gcahng.studies.ablate import run_grid, show_grid
from gcahng.studies.run import CellRun, State, grid_runs
from tests.gcahng.studies.conftest import (
    HEAD,
    TWO_CELLS,
    WriteGrid,
    finish,
    results_of,
)

LONG = TWO_CELLS + "equal_time: {long: {of: npair, as: full}}"
BROKEN = TWO_CELLS.replace("full: {}", "bad: {optim.embedder.lr: 1e30}, full: {}")


def _told(run: CellRun) -> str:
    """What the run's process was told last."""
    return run.job.log.read_text()


def _forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "COMMAND", (sys.executable, "-c", "raise SystemExit('trained')"))


@pytest.mark.usefixtures("fake_train")
def test_a_finished_grid_is_not_trained_again(
    write_grid: WriteGrid,
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    grid = write_grid()
    assert run_grid(grid, console, jobs=2)
    before = {run.name: results_of(run) for run in grid_runs(grid)}
    assert len(before) == 4
    _forbid(monkeypatch)
    capsys.readouterr()
    assert run_grid(grid, console)
    assert "4 of 4 runs finished before; in " in capsys.readouterr().out
    assert {run.name: results_of(run) for run in grid_runs(grid)} == before


@pytest.mark.usefixtures("fake_train")
def test_a_failing_cell_does_not_take_the_others_along(
    write_grid: WriteGrid, console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    text = BROKEN.replace("full: {}", "killed: {optim.embedder.lr: 9.0}, full: {}")
    grid = write_grid(text, seeds=1)
    assert not run_grid(grid, console, jobs=2)
    shown = capsys.readouterr().out
    assert "bad-seed0: FAILED: training diverged in step 2" in shown
    assert "; 2 failed" in shown
    assert "killed-seed0: FAILED: its process was ended by signal 9 (Killed)" in shown
    assert "2 of 4 runs failed: bad-seed0, killed-seed0" in shown
    report = Path("runs/ablations/grid/grid.md").read_text(encoding="utf-8")
    assert "- bad, seed 0: training diverged in step 2\n" in report
    assert "| full | 1 | 50.00 | 25.00 | +0.00 | +0.00 | 4.0 | 2 |" in report
    states = {run.cell.name: run.status()[0] for run in grid_runs(grid)}
    assert states["bad"] is states["killed"] is State.FAILED
    assert states["full"] is states["npair"] is State.FINISHED


@pytest.mark.usefixtures("fake_train")
def test_what_failed_is_tried_again(
    write_grid: WriteGrid, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = write_grid(seeds=1)
    run = grid_runs(grid)[1]
    finish(run, 0.5)
    run.folder.results.unlink()
    run.job.fail("the disk was full")
    assert run_grid(grid, console)
    assert _told(run).startswith("continued")
    assert run.finished


@pytest.mark.usefixtures("fake_train")
def test_equal_time_waits_for_what_it_needs(write_grid: WriteGrid, console: Console) -> None:
    grid = write_grid(LONG, seeds=1)
    assert run_grid(grid, console, jobs=3)
    npair, full, long = map(results_of, grid_runs(grid))
    assert (full["epochs"], full["seconds"], long["epochs"], long["seconds"]) == (2, 4.0, 4, 4.0)
    assert long["from"] >= max(npair["to"], full["to"])


@pytest.mark.usefixtures("fake_train")
def test_equal_time_without_what_it_needs_fails(write_grid: WriteGrid, console: Console) -> None:
    grid = write_grid(BROKEN + "equal_time: {long: {of: npair, as: bad}}", seeds=1)
    assert not run_grid(grid, console)
    found = grid_runs(grid)[-1].status()
    assert found == (State.FAILED, "its training time depends on bad-seed0, not finished")


@pytest.mark.usefixtures("fake_train")
def test_other_settings_are_refused_before_anything_is_trained(
    write_grid: WriteGrid, console: Console
) -> None:
    assert run_grid(write_grid(seeds=1), console)
    changed = write_grid(TWO_CELLS.replace("dim: 8", "dim: 4"))
    with pytest.raises(ValueError, match="with other settings") as info:
        run_grid(changed, console)
    assert str(info.value).count("-seed0' was trained with other settings (embedder.dim)") == 2
    assert not grid_runs(changed)[-1].folder.path.exists()


def test_a_dry_run_lists_the_cells(
    write_grid: WriteGrid, console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    show_grid(write_grid(LONG), console)
    shown = capsys.readouterr().out
    assert "full  generator.name='gca_hng', generator.args.graph.layers=1, generator.args" in shown
    assert "long  as long as full" in shown
    assert "6 runs, seeds 0 to 1, 0 of them finished; in runs/ablations/grid" in shown
    assert not Path("runs").exists()


@pytest.mark.slow
def test_digits_are_trained_in_processes(write_grid: WriteGrid, console: Console) -> None:
    """The whole way, once: two at a time, one of which diverges and says so."""
    grid = write_grid(
        HEAD.replace("epochs: 2", "epochs: 1")
        + "seeds: 1\ncells: {npair: {generator: null}, bad: {optim.embedder.lr: 1e30}}"
    )
    assert not run_grid(grid, console, jobs=2)
    npair, bad = grid_runs(grid)
    assert bad.status()[1].startswith("training diverged in step 2 of epoch 1 (metric = nan")
    results = results_of(npair)
    row = (
        f"| npair | 1 | {100 * results['last/recall@1']:.2f} | {100 * results['last/map@r']:.2f} |"
    )
    report = Path("runs/ablations/grid/grid.md")
    assert row in report.read_text(encoding="utf-8")
    assert report.with_suffix(".html").is_file()
