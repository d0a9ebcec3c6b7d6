"""Paired differences against the textbook formula; parameters against a network."""

from statistics import mean, stdev

import numpy as np
import pytest
from scipy import stats

from gcahng.ablation.cell_run import grid_runs
from gcahng.ablation.summary import paired_difference, span, spread, summarize
from gcahng.builders.networks import build_embedder, build_generator
from tests.gcahng.ablation.conftest import HEAD, WriteGrid, finish


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


def test_the_interval_by_hand() -> None:
    # Differences 1, 2, 3: mean 2, standard error 1 / √3, t(0.975, 2) = 4.302653.
    found = paired_difference({0: 2.0, 1: 4.0, 2: 6.0}, {0: 1.0, 1: 2.0, 2: 3.0})
    assert found is not None
    reach = 4.302653 / 3**0.5
    assert found.mean == 2
    assert found.interval == pytest.approx((2 - reach, 2 + reach))


def test_pairs_are_of_one_seed() -> None:
    found = paired_difference({3: 2.0, 1: 4.0, 7: 100.0}, {1: 3.0, 3: 0.0, 5: 50.0})
    assert found is not None
    assert (found.mean, found.pairs) == (1.5, 2)


def test_without_pairs_there_is_no_difference_and_with_one_no_interval() -> None:
    assert paired_difference({0: 1.0}, {1: 1.0}) is None
    found = paired_difference({0: 3.0}, {0: 1.0})
    assert found is not None
    assert (found.mean, found.interval, found.p) == (2.0, None, None)


def test_equal_differences_are_no_certainty() -> None:
    found = paired_difference({0: 2.1, 1: 3.3}, {0: 1.1, 1: 2.3})
    assert found is not None
    assert found.mean == pytest.approx(1.0)
    assert (found.interval, found.p) == (None, None)


def test_a_span_of_one_value_is_that_value() -> None:
    assert (span([10, 10]), span([28, 23, 25])) == ("10", "23–28")
    assert (spread([50.0]), spread([50.0, 60.0])) == ("50.00", "55.00 ± 7.07")


def test_parameters_are_those_that_train(write_grid: WriteGrid) -> None:
    grid = write_grid(
        HEAD
        + "cells:\n  npair: {generator: null}\n  full:\n"
        + "  frozen: {embedder.freeze: [bn_affine], generator.args.weights: {gamma: 0,"
        + " similarity: 0, diversity: 0}}\nseeds: 1\n"
    )
    for run in grid_runs(grid):
        finish(run, 0.5, classes=5)
    found = {name: summary.parameters for name, summary in summarize(grid).items()}
    assert all(parameters is not None for parameters in found.values())
    config = grid.cells["full"].config
    embedder, generator = build_embedder(config), build_generator(config, 5)
    assert generator is not None
    whole = sum(parameter.numel() for parameter in embedder.parameters())
    generators = sum(parameter.numel() for parameter in generator.parameters())
    judge = sum(parameter.numel() for parameter in generator.classifier.parameters())
    # BatchNorm2d weights and biases after convolutions of 32, 64 and 64 channels.
    fixed = 2 * (32 + 64 + 64)
    assert {k: (p.embedder, p.generator) for k, p in found.items() if p is not None} == {
        "npair": (whole, 0),
        "full": (whole, generators),
        "frozen": (whole - fixed, generators - judge),
    }


def test_a_figure_that_was_not_measured_is_left_out(write_grid: WriteGrid) -> None:
    grid = write_grid()
    for run in grid_runs(grid):
        finish(run, 0.5)
    summary = summarize(grid)["full"]
    assert summary.figures("map@r") == {0: 25.0, 1: 25.0}
    assert summary.figures("recall@3") == {}
