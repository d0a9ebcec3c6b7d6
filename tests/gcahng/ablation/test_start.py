"""The network before training: which rows a table has of it, and which cells end below it."""

import pytest

from gcahng.ablation.cell_run import grid_runs
from gcahng.ablation.start import below_features, starts
from gcahng.ablation.summary import summarize
from gcahng.runs.record import RunRecord
from tests.gcahng.ablation.conftest import WriteGrid, finish

METRICS = ["recall@1", "map@r"]


def _record(features: float | None, head: float | None = None, prefix: str = "") -> RunRecord:
    measured = {"features": features, "head": head}
    results = {
        f"zero_shot/{prefix}{source}/{metric}": value
        for source, value in measured.items()
        if value is not None
        for metric in METRICS
    }
    return RunRecord("run", [], results, "")


def test_features_and_head_are_those_of_the_reference() -> None:
    runs = {"other": {0: _record(0.5, 0.4)}, "a": {0: _record(0.5, 0.4), 1: _record(0.7, 0.6)}}
    assert starts(runs, "a", ["map@r"]) == {
        "features before training": {"map@r": pytest.approx({0: 50.0, 1: 70.0})},
        "head before training": {"map@r": pytest.approx({0: 40.0, 1: 60.0})},
    }


def test_other_cells_that_start_elsewhere_give_the_row_a_name() -> None:
    runs = {"a": {0: _record(0.5, 0.4)}, "wide": {0: _record(0.5, 0.45)}, "none": {}}
    names = ["features before training", "head before training, a"]
    assert list(starts(runs, "a", METRICS)) == names


def test_one_row_if_both_are_equal_and_none_if_not_measured() -> None:
    assert list(starts({"a": {0: _record(0.5, 0.5)}}, "a", METRICS)) == ["features before training"]
    assert starts({"a": {0: _record(None)}, "b": {0: _record(0.5)}}, "a", METRICS) == {}
    assert starts({"a": {}}, "a", METRICS) == {}


def test_validation_classes_have_their_own() -> None:
    runs = {"a": {0: _record(0.5, 0.4, prefix="val/")}}
    assert list(starts(runs, "a", METRICS, "val")) == [
        "features before training",
        "head before training",
    ]
    assert starts(runs, "a", METRICS) == {}


def test_cells_below_their_features_are_named(write_grid: WriteGrid) -> None:
    grid = write_grid()
    for run in grid_runs(grid):
        finish(run, 0.5 if run.cell.name == "full" else 0.6, start={"features": 0.55, "head": 0.3})
    sentence = "MAP@R below the features before training: full (-2.50)."
    assert below_features(summarize(grid), "map@r", "MAP@R") == [sentence]


def test_without_a_start_nothing_is_below_it(write_grid: WriteGrid) -> None:
    grid = write_grid()
    for run in grid_runs(grid):
        finish(run, 0.5)
    assert below_features(summarize(grid), "map@r", "MAP@R") == []
