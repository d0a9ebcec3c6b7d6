"""Paired differences against the textbook formula, and the network before training."""

from statistics import mean, stdev

import numpy as np
import pytest
from scipy import stats

from gcahng.runs.record import RunRecord
from gcahng.studies.run import grid_runs
from gcahng.studies.summary import below_features, paired_difference, starts, summarize
from tests.gcahng.studies.conftest import WriteGrid, finish


def test_the_interval_is_mean_and_standard_error_times_t() -> None:
    random = np.random.default_rng(0)
    values = dict(enumerate(random.normal(40, 2, 7)))
    reference = dict(enumerate(random.normal(38, 2, 7)))
    found = paired_difference(values, reference)
    gaps = [values[seed] - reference[seed] for seed in range(7)]
    error = stdev(gaps) / 7**0.5
    reach = stats.t.ppf(0.975, 6) * error
    assert found is not None
    assert found.interval == pytest.approx((mean(gaps) - reach, mean(gaps) + reach), rel=1e-12)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(mean(gaps)) / error, 6), rel=1e-12)
    assert (found.mean, found.pairs) == (pytest.approx(mean(gaps)), 7)


def test_pairs_are_of_one_seed() -> None:
    found = paired_difference({3: 2.0, 1: 4.0, 7: 100.0}, {1: 3.0, 3: 0.0, 5: 50.0})
    assert found is not None
    assert (found.mean, found.pairs) == (1.5, 2)


def test_equal_differences_are_no_certainty() -> None:
    found = paired_difference({0: 2.1, 1: 3.3}, {0: 1.1, 1: 2.3})
    assert found is not None
    assert found.mean == pytest.approx(1.0)
    assert (found.interval, found.p) == (None, None)


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


def test_cells_below_their_features_are_named(write_grid: WriteGrid) -> None:
    grid = write_grid()
    for run in grid_runs(grid):
        finish(run, 0.5 if run.cell.name == "full" else 0.6, start={"features": 0.55, "head": 0.3})
    sentence = "MAP@R below the features before training: full (-2.50)."
    assert below_features(summarize(grid), "map@r", "MAP@R") == [sentence]
