import pytest
import torch
from torch import Tensor

from gcahng.graph import batch_layout
from gcahng.losses import NPairLoss
from tests.gcahng import oracle
from tests.graph.oracle import assert_near

shapes = pytest.mark.parametrize(("samples", "classes"), [(2, 2), (3, 4), (5, 2)])


def batch(samples: int, classes: int) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(samples, classes, 6, dtype=torch.float64)


def npair(slots: Tensor) -> Tensor:
    samples, classes, _ = slots.shape
    return NPairLoss()(slots.flatten(0, 1), torch.arange(classes).repeat(samples))


@shapes
def test_equals_the_loop(samples: int, classes: int) -> None:
    slots = batch(samples, classes)
    assert_near("loss", npair(slots), oracle.npair(slots), 1e-13)


@shapes
def test_gradcheck(samples: int, classes: int) -> None:
    torch.autograd.gradcheck(npair, batch(samples, classes).requires_grad_())


def test_module_takes_a_batch_in_any_order() -> None:
    slots = batch(3, 4)
    z, labels = slots.flatten(0, 1), torch.tensor([3, 0, 9, 4]).repeat(3)
    order = oracle.permutation(12)
    # The sample of a class that comes first is its anchor.
    shuffled = batch_layout(labels[order]).slots(z[order])
    assert_near("slot-major", NPairLoss()(z, labels), oracle.npair(slots), 1e-13)
    assert_near("shuffled", NPairLoss()(z[order], labels[order]), oracle.npair(shuffled), 1e-13)


@shapes
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_all_negatives_equal_the_loop(
    samples: int, classes: int, normalize: bool, temperature: float
) -> None:
    slots = batch(samples, classes)
    used = slots / slots.norm(dim=-1, keepdim=True) if normalize else slots
    losses = []
    for p in range(1, samples):
        for a in range(classes):
            anchor = used[0, a] / temperature
            others = [used[n, b] for n in range(samples) for b in range(classes) if b != a]
            losses.append(oracle.cross_entropy([anchor @ t for t in [used[p, a], *others]], 0))
    expected = oracle.mean(losses)
    if not normalize:
        expected = expected + oracle.NORM_WEIGHT * (slots * slots).sum() / classes
    loss = NPairLoss(normalize, temperature, all_negatives=True)
    labels = torch.arange(classes).repeat(samples)
    assert_near("loss", loss(slots.flatten(0, 1), labels), expected, 1e-12)


@shapes
def test_temperature_and_sphere_of_the_published_form(samples: int, classes: int) -> None:
    slots, labels = batch(samples, classes), torch.arange(classes).repeat(samples)
    penalty = oracle.NORM_WEIGHT * (slots * slots).sum() / classes
    warm = NPairLoss(temperature=0.5)(slots.flatten(0, 1), labels)
    scaled = slots * 2**0.5
    scaled_penalty = oracle.NORM_WEIGHT * (scaled * scaled).sum() / classes
    assert_near("warm", warm, oracle.npair(scaled) - scaled_penalty + penalty, 1e-12)
    unit = slots / slots.norm(dim=-1, keepdim=True)
    unit_penalty = oracle.NORM_WEIGHT * (unit * unit).sum() / classes
    ours = NPairLoss(normalize=True)(slots.flatten(0, 1), labels)
    assert_near("unit", ours, oracle.npair(unit) - unit_penalty, 1e-12)


def test_gradcheck_of_all_negatives() -> None:
    loss, labels = NPairLoss(normalize=True, temperature=0.2, all_negatives=True), torch.arange(3)
    z = batch(2, 3).flatten(0, 1).requires_grad_()
    torch.autograd.gradcheck(lambda x: loss(x, labels.repeat(2)), z)
