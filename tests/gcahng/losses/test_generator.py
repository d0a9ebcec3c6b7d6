import pytest
import torch
from torch import Tensor

from gcahng.graph.dense.pairs import unordered_pairs
from gcahng.losses.generator import (
    _own_classes,
    anchor_similarity,
    diversity,
    negative_classification,
    synthetic_npair,
)
from tests.gcahng import oracle
from tests.graph.oracle import assert_near

SAMPLES, CLASSES = 3, 4
either = pytest.mark.parametrize("published", [True, False])
shapes = pytest.mark.parametrize(("samples", "classes"), [(2, 2), (3, 4), (4, 3), (2, 5)])


def batch(samples: int, classes: int, channels: int = 5) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    slots = torch.randn(samples, classes, channels, dtype=torch.float64)
    return slots, torch.randn(samples, classes, classes, channels, dtype=torch.float64)


def coefficients(size: int = 6) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(size, size, 3, dtype=torch.float64)


def classify(logits: Tensor, classes: Tensor, keep_own_class: bool = False) -> Tensor:
    """The loss of given logits: their classifier is the identity."""
    weight = torch.eye(logits.size(-1), dtype=logits.dtype)
    return negative_classification(
        logits, weight, weight.new_zeros(len(weight)), classes, keep_own_class
    )


@shapes
@either
def test_classification_equals_the_loop(samples: int, classes: int, published: bool) -> None:
    logits, labels = 3 * batch(samples, classes, 7)[1], torch.randperm(7)[:classes]
    ours = classify(logits, labels, published)
    assert_near("loss", ours, oracle.negative_classification(logits, labels, published), 1e-13)


@shapes
@either
def test_similarity_equals_the_loop(samples: int, classes: int, published: bool) -> None:
    inputs = batch(samples, classes)
    ours = anchor_similarity(*inputs, published)
    assert_near("loss", ours, oracle.similarity(*inputs, published), 1e-13)


@shapes
def test_synthetic_npair_equals_the_loop(samples: int, classes: int) -> None:
    inputs = batch(samples, classes)
    assert_near("loss", synthetic_npair(*inputs), oracle.synthetic_npair(*inputs), 1e-13)


def test_diversity_equals_the_loop() -> None:
    eta = coefficients()
    assert_near("loss", diversity(eta), oracle.diversity(eta), 1e-13)
    permuted = oracle.permutation(6)
    assert_near("permuted", diversity(eta[permuted][:, permuted]), diversity(eta), 1e-13)


def test_diversity_by_pairs_is_that_of_the_symmetric_coefficients() -> None:
    pairs = unordered_pairs(6, torch.device("cpu"))
    by_pair = torch.rand(21, 3, dtype=torch.float64, requires_grad=True)
    ours, full = diversity(by_pair, pairs), oracle.diversity(pairs.to_dense(by_pair))
    assert_near("loss", ours, full, 1e-13)
    expected = torch.autograd.grad(full, by_pair)[0]
    assert_near("gradient", torch.autograd.grad(ours, by_pair)[0], expected, 1e-12)


@either
def test_gradcheck(published: bool) -> None:
    logits, classes = batch(2, 3, 4)[1].requires_grad_(), torch.tensor([3, 0, 1])
    torch.autograd.gradcheck(lambda x: classify(x, classes, published), logits)
    leaves = tuple(tensor.requires_grad_() for tensor in batch(2, 3))
    torch.autograd.gradcheck(lambda z, n: anchor_similarity(z, n, published), leaves)
    torch.autograd.gradcheck(synthetic_npair, leaves)
    torch.autograd.gradcheck(diversity, coefficients(3).requires_grad_())


@either
def test_classes_may_be_permuted(published: bool) -> None:
    logits, labels = batch(SAMPLES, CLASSES, 6)[1], torch.tensor([5, 0, 2, 1])
    order = torch.tensor([2, 0, 3, 1])
    permuted = classify(logits[:, order][:, :, order], labels[order], published)
    assert_near("loss", permuted, classify(logits, labels, published), 1e-13)


def test_classes_and_slots_of_the_synthetic_npair_may_be_permuted() -> None:
    slots, negatives = batch(SAMPLES, CLASSES)
    order = [2, 0, 3, 1]
    expected = synthetic_npair(slots, negatives)
    by_class = synthetic_npair(slots[:, order], negatives[:, order][:, :, order])
    assert_near("classes", by_class, expected, 1e-13)
    # A rotation keeps each slot's positive slot.
    assert_near("slots", synthetic_npair(slots.roll(1, 0), negatives.roll(1, 0)), expected, 1e-13)


@either
def test_extreme_values_stay_finite(published: bool) -> None:
    slots, negatives = batch(SAMPLES, CLASSES)
    for scale in (0.0, 1e-12, 1e12):
        z = (scale * slots.float()).requires_grad_()
        n = (scale * negatives.float()).requires_grad_()
        loss = anchor_similarity(z, n, published)
        loss = loss + classify(n, torch.arange(CLASSES), published)
        loss.backward()
        assert loss.isfinite()
        assert z.grad.isfinite().all()
        assert n.grad.isfinite().all()


def test_what_a_recording_reads_is_kept_for_good() -> None:
    device = torch.device("cpu")
    read = _own_classes(0, 6, 3, device)
    for size in range(2, 100):
        _own_classes(0, 2 * size, size, device)
    assert _own_classes(0, 6, 3, device) is read
