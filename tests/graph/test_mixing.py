import pytest
import torch
from torch import Tensor

from gcahng.graph import synthetic_negatives
from gcahng.graph.dense.pairs import Pairs
from tests.graph import oracle
from tests.graph.pair_samples import every_kind

every_pairs = pytest.mark.parametrize("kind", ["symmetric", "some", "all"])


def batch(samples: int, classes: int, channels: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Slots, asymmetric coefficients and draws."""
    torch.manual_seed(samples * classes)
    slots = torch.randn(samples, classes, channels, dtype=torch.float64)
    eta = torch.rand(samples * classes, samples * classes, channels, dtype=torch.float64)
    return slots, eta, torch.rand(samples, samples - 1, dtype=torch.float64)


@pytest.mark.parametrize(("samples", "classes"), [(2, 2), (3, 2), (2, 5), (4, 3)])
@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_equals_the_loop(samples: int, classes: int, strength: float) -> None:
    slots, eta, draws = batch(samples, classes)
    ours = synthetic_negatives(slots, eta, strength, draws)
    assert ours.shape == (samples, classes, classes, 4)
    oracle.assert_near("negatives", ours, oracle.negatives(slots, eta, strength, draws), 1e-12)


def test_gradients_reach_embeddings_and_distances_as_in_the_loop() -> None:
    slots, eta, draws = batch(3, 3)
    weights, found = torch.randn(3, 3, 3, 4).double(), []
    for run in (synthetic_negatives, oracle.negatives):
        leaves = [slots.clone().requires_grad_(), eta.clone().requires_grad_()]
        loss = (run(*leaves, 0.4, draws) * weights).sum()
        found.append(torch.autograd.grad(loss, leaves))
    oracle.assert_near("slots", found[0][0], found[1][0])
    oracle.assert_near("coefficients", found[0][1], found[1][1])


@pytest.mark.parametrize(("samples", "classes"), [(2, 2), (3, 4), (4, 3)])
@every_pairs
@pytest.mark.usefixtures("chunk")
def test_coefficients_by_pairs_give_the_same(samples: int, classes: int, kind: str) -> None:
    slots, _, draws = batch(samples, classes)
    pairs = every_kind(samples * classes)[kind]
    by_pair = torch.rand(pairs.row.numel(), 4, dtype=torch.float64)
    weights = torch.randn(samples, classes, classes, 4, dtype=torch.float64)
    strength, found = torch.tensor(0.4, dtype=torch.float64), []
    for on_pairs in (True, False):
        leaves = [tensor.clone().requires_grad_() for tensor in (slots, by_pair, strength)]
        eta = leaves[1] if on_pairs else pairs.to_dense(leaves[1])
        out = synthetic_negatives(leaves[0], eta, leaves[2], draws, pairs if on_pairs else None)
        found.append((out, *torch.autograd.grad((out * weights).sum(), leaves)))
    for name, ours, full in zip(("out", "slots", "eta", "strength"), *found, strict=True):
        oracle.assert_near(name, ours, full, 1e-12)


@every_pairs
@pytest.mark.usefixtures("chunk")
def test_gradcheck_by_pairs(kind: str) -> None:
    slots, _, draws = batch(2, 2, 3)
    pairs = every_kind(4)[kind]
    eta = torch.rand(pairs.row.numel(), 3, dtype=torch.float64, requires_grad=True)
    leaves = slots.requires_grad_(), eta
    torch.autograd.gradcheck(lambda z, e: synthetic_negatives(z, e, 0.4, draws, pairs), leaves)


@pytest.mark.parametrize("pairs", [None, *every_kind(9).values()], ids=["none", *every_kind(9)])
def test_a_detached_anchor_keeps_the_value_and_passes_no_gradient(pairs: Pairs | None) -> None:
    slots, eta, draws = batch(3, 3)
    if pairs is not None:
        by_pair = eta.flatten(0, 1)[: pairs.row.numel()]
        eta = pairs.to_dense(by_pair)
    given = eta if pairs is None else by_pair
    slots.requires_grad_()
    ours = synthetic_negatives(slots, given, 0.4, draws, pairs, detach_anchor=True)
    oracle.assert_near("same", ours, synthetic_negatives(slots, given, 0.4, draws, pairs), 1e-12)
    weights, gradients = torch.randn(3, 3, 3, 4).double(), []
    for out in (ours, oracle.negatives(slots, eta, 0.4, draws, detach=True)):
        gradients += torch.autograd.grad((out * weights).sum(), slots)
    oracle.assert_near("gradient", *gradients)


def test_gradcheck() -> None:
    slots, eta, draws = batch(2, 2, 3)
    strength = torch.tensor(0.4, dtype=torch.float64)
    leaves = (slots.requires_grad_(), eta.requires_grad_())
    torch.autograd.gradcheck(lambda z, e: synthetic_negatives(z, e, strength, draws), leaves)


def _one_candidate(keep: int) -> Tensor:
    """Draws that fold two candidates into candidate `keep`."""
    return torch.full((2, 1), 1.0 - keep, dtype=torch.float64)


@pytest.mark.parametrize("keep", [0, 1])
def test_coefficients_1_at_full_strength_move_nothing(keep: int) -> None:
    slots, eta, _ = batch(2, 3)
    moved = synthetic_negatives(slots, torch.ones_like(eta), 1.0, _one_candidate(keep))
    oracle.assert_near("unmoved", moved, slots[keep].expand(2, 3, 3, 4), 1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 1e6])
def test_equal_embeddings_give_finite_gradients(scale: float, dtype: torch.dtype) -> None:
    slots = torch.full((2, 3, 4), scale, dtype=dtype)
    slots[0, 0] *= 2
    slots.requires_grad_()
    eta, draws = torch.full((6, 6, 4), 0.5, dtype=dtype), torch.full((2, 1), 0.5, dtype=dtype)
    moved = synthetic_negatives(slots, eta, 0.5, draws)
    moved.square().sum().backward()
    assert moved.isfinite().all()
    assert slots.grad.isfinite().all()
