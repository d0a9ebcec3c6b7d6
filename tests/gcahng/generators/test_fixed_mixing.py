"""Mixing by coefficients that nothing learned, beside loops over the formula."""

import math

import pytest
import torch
from torch import Tensor

from gcahng.graph import synthetic_negatives
from tests.gcahng import oracle
from tests.gcahng.generators.test_all_generators import CHANNELS, SAMPLED, SAMPLES, batch, make
from tests.graph.oracle import assert_near


def loop_negatives(slots: Tensor, draws: Tensor, share: float) -> Tensor:
    """Each negative moved to r + (1 - r)·share of its way, the P candidates folded."""
    samples, classes, channels = slots.shape
    result = torch.zeros(samples, classes, classes, channels, dtype=slots.dtype)
    for p in range(samples):
        for a in range(classes):
            anchor, positive = slots[p, a], slots[(p + 1) % samples, a]
            near = float((anchor - positive + 1e-6).norm())
            for b in range(classes):
                mixed = None
                for n in range(samples):
                    far = float((anchor - slots[n, b] + 1e-6).norm())
                    r = near / far if far > near else 1.0
                    point = anchor + (slots[n, b] - anchor) * (r + (1 - r) * share)
                    u = 0.0 if mixed is None else float(draws[p, n - 1])
                    mixed = point if mixed is None else point + u * (mixed - point)
                result[p, a, b] = mixed
    return result


@pytest.mark.parametrize(
    ("name", "args", "share"),
    [
        ("hdml", {"alpha": 2.0}, math.exp(-2.0 / 3.0)),
        ("scalar", {"value": 0.8}, 0.8),
        ("scalar", {"value": 0.0}, 0.0),
        ("unmoved", {}, 1.0),
    ],
)
def test_negatives_equal_the_loop(name: str, args: dict[str, float], share: float) -> None:
    made, (z, labels) = make(name, **args), batch()
    draws = torch.rand(SAMPLES, SAMPLES - 1, dtype=torch.float64)
    slots = z.detach().view(SAMPLES, SAMPLED, CHANNELS)
    result = made(z, labels, draws=draws)
    expected = loop_negatives(slots, draws, share)
    assert_near("negatives", result.negatives, expected, 1e-12)
    assert_near("term", result.losses["synthetic"], oracle.synthetic_npair(slots, expected), 1e-12)


def test_random_channels_lie_between_and_differ_from_step_to_step() -> None:
    made, (z, labels) = make("random_channel", alpha=0.0), batch()
    draws = torch.rand(SAMPLES, SAMPLES - 1, dtype=torch.float64)
    torch.manual_seed(0)
    first, second = (made(z, labels, draws=draws).negatives.detach() for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    nodes = SAMPLES * SAMPLED
    _, eta = made.mixture(z.view(SAMPLES, SAMPLED, CHANNELS), torch.Size((nodes, nodes, CHANNELS)))
    assert torch.equal(eta, eta.transpose(0, 1)), "a correlation has no direction"
    assert 0.4 < eta.mean() < 0.6
    slots = z.detach().view(SAMPLES, SAMPLED, CHANNELS)
    assert_near("mixed", first, synthetic_negatives(slots, eta, 1.0, draws), 1e-12)
