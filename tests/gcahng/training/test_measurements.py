"""What a training measures: its losses, and how hard its negatives are beside counts by numpy."""

import math

import numpy as np
import pytest
import torch

from gcahng.generators import GENERATORS
from gcahng.graph.distances import batch_distances
from gcahng.losses.generator import diversity
from gcahng.training.measurements import BINS, LossLog, NonFiniteLossError, summarize_hardness
from tests.gcahng.generators.test_all_generators import batch, make


def losses(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_means_keep_no_graph_and_no_caller_memory_and_go_on_from_a_state() -> None:
    value = torch.tensor(1.0, requires_grad=True) * 1
    first = LossLog(1)
    first.add({"metric": value, "generator": torch.tensor(4.0)})
    value.data.fill_(9)
    assert not first.state()["rows"].requires_grad
    for log in (first, LossLog(1, first.state())):
        log.add(losses(metric=2.0, generator=8.0))
        assert log.means() == {"metric": 1.5, "generator": 6.0}


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_names_step_epoch_and_terms(value: float) -> None:
    log = LossLog(7)
    log.add(losses(metric=1.0, generator=4.0))
    log.add(losses(metric=1.0, generator=4.0))
    with pytest.raises(NonFiniteLossError) as info:
        log.add(losses(metric=0.25, generator=value))
    message = str(info.value)
    assert f"step 3 of epoch 7 (metric = 0.25, generator = {value})" in message
    assert "optim.embedder.lr" in message


def test_means_finds_the_first_bad_step_of_a_device_that_was_not_waited_for() -> None:
    log = LossLog(2)
    log.names = ["metric"]
    log._new = [torch.tensor([value]).double() for value in (1.0, math.nan, math.inf)]
    with pytest.raises(NonFiniteLossError, match=r"step 2 of epoch 2 \(metric = nan\)"):
        log.means()


@pytest.mark.parametrize("name", sorted(GENERATORS.keys() - {"class_loss"}))
def test_histograms_of_any_generators_negatives(name: str) -> None:
    made, (z, labels) = make(name), batch()
    result = made(z, labels)
    row = summarize_hardness(result)
    distances = batch_distances(result.slots, result.negatives)
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
    assert summarize_hardness(result)["diversity"] == pytest.approx(float(spread))


def test_real_negatives_are_not_nearer_than_the_nearest_of_them() -> None:
    made, (z, labels) = make("hardest_real", normalize=True), batch()
    assert summarize_hardness(made(z, labels))["harder"] == 0


def test_equal_embeddings_have_distances_of_rounding_only() -> None:
    made, (z, labels) = make("unmoved"), batch(2)
    row = summarize_hardness(made(torch.ones_like(z), labels))
    assert row["upper"] < 1e-5
    assert sum(row["positive"]) == 8
