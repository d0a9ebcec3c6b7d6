"""Batches that GCA-HNG accepts and those that it rejects."""

import pytest
import torch

from gcahng.graph import batch_layout
from tests.gcahng.generators.test_gca_hng import LABELS, batch, both_paths, make


@pytest.mark.parametrize("call", ["forward", "generator_losses"])
def test_integer_labels_of_any_width(call: str) -> None:
    (z, draws), totals = batch(), []
    for dtype in (torch.int32, torch.int64):
        totals.append(getattr(make(), call)(z, LABELS.to(dtype), draws=draws).total)
    assert torch.equal(*totals)


@pytest.mark.parametrize("name", ["synthetic_weight", "linear_ce_weight", "alpha", "beta", "gamma"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_weights_are_finite_and_not_negative(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"'{name}' as a number of at least 0"):
        make(**{name: value})


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
