"""A bar on a terminal, and a line for each run that ends."""

import io

from rich.console import Console

from gcahng.studies.run import grid_runs
from gcahng.studies.schedule import GridProgress
from tests.gcahng.studies.conftest import WriteGrid, finish


def test_lines_without_a_terminal(write_grid: WriteGrid) -> None:
    console = Console(file=io.StringIO(), width=80)
    runs = grid_runs(write_grid())
    progress = GridProgress(5, 1, console)
    with progress.bar:
        progress.update(runs[:1])
        finish(runs[0], 0.5)
        progress.end(runs[0])
        runs[1].job.fail("it broke")
        progress.end(runs[1])
    assert console.file.getvalue().splitlines() == [
        "2/5 npair-seed0: R@1 50.00 %, MAP@R 25.00 %, 10.0 s",
        "3/5 full-seed0: FAILED: it broke; 1 failed",
    ]


def test_a_bar_on_a_terminal(write_grid: WriteGrid) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=90)
    runs = grid_runs(write_grid(seeds=1))
    progress = GridProgress(len(runs), 0, console)
    with progress.bar:
        runs[0].folder.path.mkdir(parents=True)
        runs[0].folder.write_metrics([{"epoch": 1}])
        progress.update(runs)
        assert progress.bar.tasks[0].completed == 0.5, "one of two epochs"
