"""Paired differences against the textbook formula, and the network before training."""

from statistics import mean, stdev

import numpy as np
import pytest
from scipy import stats

from gcahng.runs.record import RunRecord
from gcahng.studies.run import grid_runs
from gcahng.studies.summary import (
    below_features,
    holm,
    paired_difference,
    starts,
    summarize,
    verdict,
)
from tests.gcahng.studies.conftest import HEAD, WriteGrid, finish


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


def test_features_and_head_are_those_that_were_measured() -> None:
    before = {"zero_shot/features/map@r": 0.5, "zero_shot/head/map@r": 0.4}
    records = {1: RunRecord("run", [], before, ""), 2: RunRecord("run", [], {}, "")}
    assert starts(records, ["map@r"], "test") == {
        "features before training": {"map@r": {1: 50.0}},
        "head before training": {"map@r": {1: 40.0}},
    }
    assert starts(records, ["map@r"], "val") == {}


def test_cells_below_their_features_are_named(write_grid: WriteGrid) -> None:
    grid = write_grid()
    for run in grid_runs(grid):
        finish(run, 0.5 if run.cell.name == "full" else 0.6, start={"features": 0.55, "head": 0.3})
    sentence = "MAP@R below the features before training: full (-2.50)."
    assert below_features(summarize(grid)) == [sentence]


def test_holm_by_hand() -> None:
    # Limits 0.05 / 4, / 3, / 2, / 1: 0.03 is above 0.025, so 0.04 is not looked at.
    assert holm({"a": 0.001, "b": 0.03, "c": 0.04, "d": 0.016}) == {"a", "d"}
    assert holm({"a": 0.013, "b": 0.0126, "c": 0.5, "d": 0.5}) == set()
    assert holm({}) == set()


CELLS = {
    # MAP@R beside the reference's, percentage points over four seeds.
    "clear": (5.0, 5.1, 4.9, 5.0),
    "worse": (-3.0, -3.1, -2.9, -3.05),
    "weak": (0.65, 2.0, 0.8, 2.15),
    "none": (1.0, -1.0, 0.5, -0.6),
}


def test_every_cell_is_in_one_sentence(write_grid: WriteGrid) -> None:
    names = "".join(f", {name}: {{}}" for name in CELLS)
    grid = write_grid(HEAD + f"seeds: 4\ncells: {{npair: {{generator: null}}{names}}}\n")
    assert verdict(summarize(grid), "npair") == [], "no cell has two pairs"
    for run in grid_runs(grid):
        gain = CELLS[run.cell.name][run.seed] if run.cell.name in CELLS else 0.0
        finish(run, 0.5 + 0.01 * run.seed + 2 * gain / 100)
    assert verdict(summarize(grid), "npair") == [
        "MAP@R different from 'npair', also after Holm's correction for 4 cells: clear (+5.00), "
        "worse (-3.01).",
        "MAP@R different from 'npair' by an uncorrected t-test only: weak (+1.40).",
        "MAP@R not significantly different from 'npair': none (-0.02).",
    ]
