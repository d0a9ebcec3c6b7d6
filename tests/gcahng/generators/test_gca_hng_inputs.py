"""Batches that GCA-HNG accepts and those that it rejects."""

import pytest
import torch

from gcahng.graph import batch_layout
from tests.gcahng.generators.test_gca_hng import CHANNELS, LABELS, batch, both_paths, make


@pytest.mark.parametrize("call", ["forward", "generator_losses"])
def test_integer_labels_of_any_width(call: str) -> None:
    (z, draws), totals = batch(), []
    for dtype in (torch.int32, torch.int64):
        totals.append(getattr(make(), call)(z, LABELS.to(dtype), draws=draws).total)
    assert torch.equal(*totals)


def test_classifier_loss_takes_integer_labels_of_any_width() -> None:
    generator, (z, _) = make(), batch()
    losses = [generator.classifier_loss(z, LABELS.to(d)) for d in (torch.int32, torch.int64)]
    assert torch.equal(*losses)


@pytest.mark.parametrize("call", ["forward", "generator_losses"])
@pytest.mark.parametrize("labels", [[0, 6], [-1, 2]])
def test_labels_out_of_range_raise(call: str, labels: list[int]) -> None:
    z, wrong = torch.zeros(4, CHANNELS).double(), torch.tensor(labels).repeat(2)
    with pytest.raises(ValueError, match=rf"\[0, 6\).*from {labels[0]} to {labels[1]}"):
        getattr(make(), call)(z, wrong)


@pytest.mark.parametrize("name", ["synthetic_weight", "linear_ce_weight", "alpha", "beta", "gamma"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_weights_are_finite_and_not_negative(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"'{name}' as a number of at least 0"):
        make(**{name: value})


@pytest.mark.parametrize("call", ["forward", "generator_losses"])
def test_unbalanced_batch_raises_with_the_counts(call: str) -> None:
    with pytest.raises(ValueError, match=r"\{0: 2, 1: 3\}"):
        getattr(make(), call)(torch.zeros(5, CHANNELS).double(), torch.tensor([0, 1, 1, 0, 1]))


def test_a_layout_that_is_known_is_used() -> None:
    generator, (z, draws) = make(), batch()
    known = generator(z, LABELS, layout=batch_layout(LABELS), draws=draws)
    assert torch.equal(known.total, generator(z, LABELS, draws=draws).total)


@both_paths
def test_equal_samples_give_finite_gradients(path: str) -> None:
    generator, (z, draws) = make(path=path), batch()
    same = z.detach()[:1].repeat(len(z), 1).requires_grad_()
    total = generator(same, LABELS, draws=draws).total
    (total + generator.generator_losses(same, LABELS, draws=draws).total).backward()
    assert same.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in generator.parameters() if p.grad is not None)
