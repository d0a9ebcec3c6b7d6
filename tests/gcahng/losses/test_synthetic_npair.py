import pytest
import torch
from torch import Tensor

from gcahng.losses import synthetic_npair
from tests.gcahng import oracle
from tests.graph.oracle import assert_near


def batch(samples: int, classes: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    slots = torch.randn(samples, classes, 5, dtype=torch.float64)
    return slots, torch.randn(samples, classes, classes, 5, dtype=torch.float64)


@pytest.mark.parametrize(("samples", "classes"), [(2, 2), (3, 4), (4, 3)])
def test_equals_the_loop(samples: int, classes: int) -> None:
    inputs = batch(samples, classes)
    assert_near("loss", synthetic_npair(*inputs), oracle.synthetic_npair(*inputs), 1e-13)


def test_gradcheck() -> None:
    leaves = tuple(tensor.requires_grad_() for tensor in batch(3, 2))
    torch.autograd.gradcheck(synthetic_npair, leaves)


def test_own_class_gives_way_to_the_positive() -> None:
    slots, negatives = batch(3, 4)
    changed = negatives.clone()
    changed[:, range(4), range(4)] += 1
    assert torch.equal(synthetic_npair(slots, changed), synthetic_npair(slots, negatives))
    negatives.requires_grad_()
    synthetic_npair(slots, negatives).backward()
    assert negatives.grad[:, range(4), range(4)].eq(0).all()
    assert negatives.grad[:, 0, 1].ne(0).all()


def test_classes_and_slots_may_be_permuted() -> None:
    slots, negatives = batch(3, 4)
    order = [2, 0, 3, 1]
    expected = synthetic_npair(slots, negatives)
    by_class = synthetic_npair(slots[:, order], negatives[:, order][:, :, order])
    assert_near("classes", by_class, expected, 1e-13)
    # A rotation keeps each slot's positive slot.
    assert_near("slots", synthetic_npair(slots.roll(1, 0), negatives.roll(1, 0)), expected, 1e-13)


@pytest.mark.parametrize("scale", [0.0, 1e3, 1e9])
def test_extreme_embeddings_stay_finite(scale: float) -> None:
    slots, negatives = ((scale * tensor.float()).requires_grad_() for tensor in batch(2, 3))
    loss = synthetic_npair(slots, negatives)
    loss.backward()
    assert loss.isfinite()
    assert slots.grad.isfinite().all()
    assert negatives.grad.isfinite().all()
