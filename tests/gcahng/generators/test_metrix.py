"""Metrix beside a loop over its formula."""

import pytest
import torch

from gcahng.losses.generator import NORM_WEIGHT, synthetic_npair
from tests.gcahng.generators.test_all_generators import CHANNELS, SAMPLED, SAMPLES, batch, make
from tests.graph.oracle import assert_near


def test_points_and_targets_are_mixed_alike() -> None:
    made, (z, labels) = make("metrix"), batch()
    slots = z.detach().view(SAMPLES, SAMPLED, CHANNELS)
    torch.manual_seed(5)
    result = made(z, labels)
    torch.manual_seed(5)
    share = torch.distributions.Beta(2.0, 2.0).sample(torch.Size((SAMPLES, SAMPLED, SAMPLED)))
    share = share.double()
    total = 0.0
    for p in range(SAMPLES):
        squares = 0.0
        for a in range(SAMPLED):
            positive = slots[(p + 1) % SAMPLES, a]
            points, parts = [], []
            for b in range(SAMPLED):
                s = share[p, a, b]
                mixed = s * positive + (1 - s) * slots[p, b]
                assert_near("mixed", result.negatives[p, a, b], mixed, 1e-12)
                points.append(positive if b == a else mixed)
                parts.append(1.0 if b == a else float(s))
            logits = torch.stack([slots[p, a] @ point for point in points])
            target = torch.tensor(parts, dtype=torch.float64) / sum(parts)
            total -= float((target * logits.log_softmax(0)).sum()) / (SAMPLES * SAMPLED)
            squares += sum(float(point @ point) for point in points)
        norms = float((slots[p] ** 2).sum()) / SAMPLED + squares / SAMPLED**2
        total += NORM_WEIGHT * norms / SAMPLES
    assert result.losses["synthetic"].item() == pytest.approx(total, rel=1e-12)


def test_a_share_of_zero_is_a_plain_negative() -> None:
    torch.manual_seed(0)
    slots = torch.randn(2, 3, 4, dtype=torch.float64)
    negatives = torch.randn(2, 3, 3, 4, dtype=torch.float64)
    plain = synthetic_npair(slots, negatives)
    assert_near("none", synthetic_npair(slots, negatives, torch.zeros(2, 3, 3)), plain, 1e-13)
    torch.autograd.gradcheck(
        lambda s, n: synthetic_npair(s, n, torch.full((2, 3, 3), 0.3), 0.5),
        (slots.requires_grad_(), negatives.requires_grad_()),
    )
