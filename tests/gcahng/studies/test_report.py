"""The report of a grid: figures, failures, what is missing, and that it stands alone."""

import csv
from pathlib import Path

import pytest

from gcahng.studies.grid import Grid
from gcahng.studies.report import report_grid
from gcahng.studies.run import grid_runs
from tests.gcahng.reports.test_page import Page
from tests.gcahng.studies.conftest import TWO_CELLS, WriteGrid, finish, results_of

TEXT = TWO_CELLS.replace("full: {}", "full: {}, bad: {}") + "title: Does <it> help?\n"


@pytest.fixture
def grid(write_grid: WriteGrid) -> Grid:
    """Two cells over two seeds, and one that failed in both."""
    grid = write_grid(TEXT)
    for run in grid_runs(grid):
        gain = {"npair": 0.0, "full": 0.02 if run.seed else 0.04, "bad": 0.0}[run.cell.name]
        if run.cell.name == "bad":
            run.job.fail("training diverged | at once")
        else:
            finish(run, 0.5 + 0.1 * run.seed + gain, seconds=10 + 100 * gain)
    return grid


def test_markdown_has_means_paired_differences_and_failures(grid: Grid) -> None:
    target = report_grid(grid)
    assert target == Path("runs/ablations/grid/grid.md")
    text = target.read_text(encoding="utf-8")
    assert text.startswith("# Does <it> help?\n\n3 cells × 2 seeds (0 to 1) on digits; 4 of 6 runs")
    cells = (
        "| full | 2 | 58.00 ± 5.66 | 29.00 ± 2.83 | +3.00 [-9.71, +15.71] | +1.50 [-4.85, +7.85] |"
    )
    assert cells in text
    assert "| npair | 2 | 55.00 ± 7.07 | 27.50 ± 3.54 | – | – | 10.0 | 1 |" in text
    for words in (
        "| bad | 0 of 2 | – | – | – | – | – | – |",
        "- bad, seed 1: training diverged | at once",
        "about 0.2 intervals would exclude zero.",
        "MAP@R not significantly different from 'npair': full (+1.50).",
        "- npair: the reference\n",
        "- full: `generator.name='gca_hng'`, `generator.args.graph.layers=1`, `gen",
        "python -m gcahng ablate grid.yaml --seeds 2",
        "![Does <it> help?](grid.png)",
    ):
        assert words in text
    html = target.with_suffix(".html").read_text(encoding="utf-8")
    shown = Page(html).cells()
    start = shown.index("full")
    assert shown[start + 1 : start + 4] == ["2", "58.00 ± 5.66", "29.00 ± 2.83"]
    assert "bad, seed 1: training diverged | at once" in shown
    assert html.count("data:image/png;base64,") == 1
    assert 'src="http' not in html


def test_the_start_is_the_first_rows(write_grid: WriteGrid) -> None:
    """Two cells over two seeds, one of which ends below the features before training."""
    grid = write_grid()
    for run in grid_runs(grid):
        recall = {"npair": 0.5, "full": 0.6}[run.cell.name] + 0.1 * run.seed
        start = {"features": 0.54 + 0.1 * run.seed, "head": 0.4 + 0.1 * run.seed}
        finish(run, recall, start=start)
    text = report_grid(grid).read_text(encoding="utf-8")
    assert "MAP@R below the features before training: npair (-2.00)." in text.splitlines()[2]
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert "| Δ MAP@R [95 % CI] | over features [95 % CI] | seconds |" in table[0]
    expected = [
        "| features before training | 2 | 59.00 ± 7.07 | 29.50 ± 3.54 | +4.00 | +2.00 | – | – |",
        "| head before training | 2 | 45.00 ± 7.07 | 22.50 ± 3.54 | -10.00 | -5.00 | -7.00 | – |",
        "| npair | 2 | 55.00 ± 7.07 | 27.50 ± 3.54 | – | – | -2.00 | 10.0 |",
        "| full | 2 | 65.00 ± 7.07 | 32.50 ± 3.54 | +10.00 | +5.00 | +3.00 ",
    ]
    for line, beginning in zip(table[2:], expected, strict=True):
        assert line.startswith(beginning)


def test_figures_of_the_validation_classes(write_grid: WriteGrid) -> None:
    grid = write_grid(
        TEXT.replace("settings: {", "settings: {data.validation: 0.4, ") + "split: val\n"
    )
    for run in grid_runs(grid):
        finish(run, 0.9)
        gain = 0.1 if run.cell.name == "full" else 0.02 * run.seed
        run.folder.write_metrics([{"epoch": 1, "val/recall@1": 0.4 + gain, "val/map@r": 0.2}])
    target = report_grid(grid)
    text = target.read_text(encoding="utf-8")
    assert "## After the last epoch, held-out training classes, %" in text
    assert "| full | 2 | 50.00 ± 0.00 | 20.00 ± 0.00 | +9.00 [-3.71, +21.71] | +0.00" in text
    assert "measure it once more, on the test split" in text
    assert "What it shows" not in text
    with target.with_suffix(".csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["cell"], first["recall@1"]) == ("npair", "0.400000")


def test_one_seed_has_no_intervals(write_grid: WriteGrid) -> None:
    grid = write_grid(TWO_CELLS + "note: Read <this> first.\n", seeds=1)
    for run in grid_runs(grid):
        finish(run, 0.5)
    assert "interval" not in report_grid(grid).read_text(encoding="utf-8")
    html = (grid.folder / f"{grid.name}.html").read_text(encoding="utf-8")
    assert "Read &lt;this&gt; first." in html


def test_csv_has_every_run_as_it_was_measured(grid: Grid) -> None:
    with report_grid(grid).with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    runs = {(run.cell.name, run.seed): run for run in grid_runs(grid)}
    for row in rows:
        results = results_of(runs[row["cell"], int(row["seed"])])
        for name in ("recall@1", "map@r"):
            assert float(row[name]) == pytest.approx(results[f"{row['epoch']}/{name}"])
        assert float(row["seconds"]) == pytest.approx(results["seconds"])
        assert row["embedder_parameters"] == "56552"


def test_a_missing_pair_is_said(grid: Grid) -> None:
    run = next(run for run in grid_runs(grid) if run.name == "npair-seed1")
    run.folder.results.unlink()
    text = report_grid(grid).read_text(encoding="utf-8")
    assert "| npair | 1 of 2 | 50.00 |" in text
    assert "| +4.00, n = 1 | +2.00, n = 1 |" in text


def test_nothing_trained_yet_is_a_table_too(write_grid: WriteGrid, tmp_path: Path) -> None:
    target = report_grid(write_grid(), tmp_path / "out")
    assert "0 of 4 runs have finished" in target.read_text(encoding="utf-8")
    assert sorted(file.name for file in target.parent.iterdir()) == ["grid.html", "grid.md"]
