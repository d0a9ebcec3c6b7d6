"""The class loss without a graph."""

import torch
from torch.nn import functional as F

from tests.gcahng.generators.test_all_generators import batch, make


def test_it_is_batch_norm_linear_and_cross_entropy() -> None:
    made, (z, labels) = make("class_loss", linear_ce_weight=0.3), batch()
    norm, linear = made.linear_head
    centred = (z - z.mean(0)) / (z.var(0, unbiased=False) + norm.eps).sqrt()
    expected = 0.3 * F.cross_entropy(centred @ linear.weight.T + linear.bias, labels)
    result = made(z, labels)
    torch.testing.assert_close(result.total, expected)
    assert result.negatives is None
    assert result.losses.keys() == {"linear_ce"}
    assert len(list(made.head_parameters())) == 4
