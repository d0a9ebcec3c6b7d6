"""How hard the negatives of a batch were, beside counts by numpy."""

import numpy as np
import pytest
import torch

from gcahng.generators import GENERATORS
from gcahng.graph.distances import batch_distances
from gcahng.losses.generator import diversity
from gcahng.training.hardness_log import BINS, hardness_row
from tests.gcahng.generators.test_all_generators import batch, make


@pytest.mark.parametrize("name", sorted(GENERATORS.keys() - {"class_loss"}))
def test_histograms_of_any_generators_negatives(name: str) -> None:
    made, (z, labels) = make(name), batch()
    result = made(z, labels)
    row = hardness_row(7, result)
    distances = batch_distances(result.slots, result.negatives)
    assert row["epoch"] == 7
    for kind, values in distances._asdict().items():
        counts, _ = np.histogram(values.numpy(), BINS, (0, row["upper"]))
        assert sum(row[kind]) == values.numel()
        assert np.abs(np.array(row[kind]) - counts).sum() <= 2, "but for an edge's rounding"
    assert row["harder"] == distances.harder
    assert ("diversity" in row) == (name == "gca_hng")


def test_diversity_is_that_of_the_loss() -> None:
    made, (z, labels) = make("gca_hng"), batch()
    result = made(z, labels)
    spread = 1 - diversity(result.channel_coefficients)
    assert hardness_row(1, result)["diversity"] == pytest.approx(float(spread))


def test_real_negatives_are_not_nearer_than_the_nearest_of_them() -> None:
    made, (z, labels) = make("hardest_real", normalize=True), batch()
    assert hardness_row(1, made(z, labels))["harder"] == 0


def test_equal_embeddings_have_distances_of_rounding_only() -> None:
    made, (z, labels) = make("unmoved"), batch(2)
    row = hardness_row(1, made(torch.ones_like(z), labels))
    assert row["upper"] < 1e-5
    assert sum(row["positive"]) == 8
