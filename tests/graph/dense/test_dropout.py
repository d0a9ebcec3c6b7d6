import pytest
import torch

from gcahng.graph.dense.edge_update import endpoint_dropout_mask, independent_mask, tied_mask
from gcahng.graph.dense.pairs import unordered_pairs
from tests.graph.pair_samples import separated

SIZE, HEADS, RATE = 6, 2, 0.4
LIKE = torch.zeros(1, dtype=torch.float64)


def test_endpoint_dropout_mask_draws_each_weight_at_the_rate() -> None:
    torch.manual_seed(0)
    mask = endpoint_dropout_mask(4000, 3, 0.1, torch.zeros(1, dtype=torch.float64))
    assert mask.shape == (4000, 2, 3)
    assert mask.dtype == torch.float64
    assert set(mask.unique().tolist()) == {0.0, 1 / 0.9}
    torch.testing.assert_close(mask.mean((0,)), torch.ones(2, 3).double(), atol=0.03, rtol=0)


def test_tied_mask_of_separated_pairs_swaps_the_ends_of_the_mirror() -> None:
    torch.manual_seed(1)
    whole = tied_mask(unordered_pairs(SIZE, torch.device("cpu")), HEADS, RATE, LIKE)
    torch.manual_seed(1)
    assert torch.equal(whole, endpoint_dropout_mask(len(whole), HEADS, RATE, LIKE))
    pairs = separated(SIZE)
    torch.manual_seed(1)
    mask = tied_mask(pairs, HEADS, RATE, LIKE)
    for number, (i, j) in enumerate(zip(pairs.row.tolist(), pairs.col.tolist(), strict=True)):
        pair = unordered_pairs(SIZE, torch.device("cpu")).index[i, j]
        expected = whole[pair] if i <= j else whole[pair].flip(0)
        assert torch.equal(mask[number], expected)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4, 0.99])
def test_independent_mask_separates_the_pairs_whose_masks_differ(rate: float) -> None:
    whole = unordered_pairs(SIZE, torch.device("cpu"))
    torch.manual_seed(1)
    drawn = endpoint_dropout_mask(SIZE**2, HEADS, rate, LIKE).view(SIZE, SIZE, 2, HEADS)
    torch.manual_seed(1)
    mask, pairs, source = independent_mask(whole, HEADS, rate, LIKE)
    for i in range(SIZE):
        for j in range(SIZE):
            assert whole.index[i, j] == source[pairs.index[i, j]]
            # A row for both directions holds the mask of (i, j) with i ≤ j.
            kept = mask[pairs.index[i, j]]
            together = pairs.index[i, j] == pairs.index[j, i]
            assert torch.equal(kept.flip(0) if together and i > j else kept, drawn[i, j])
            assert together == (i == j or torch.equal(drawn[i, j], drawn[j, i].flip(0)))
    assert len(mask) == pairs.row.numel() == len(pairs.index.unique())
