"""Dropout masks of the edge attention, equal to those that message passing draws."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gcahng.graph.dense.pairs import Pairs, unordered_pairs
from gcahng.graph.precision import half_to_float32


def endpoint_dropout_mask(count: int, heads: int, rate: float, like: Tensor) -> Tensor:
    """Scaled dropout mask of both endpoint weights: 0 or 1/(1-rate), [count, 2, heads].

    At least float32: in bfloat16, 1/(1-0.1) would be 1.109 instead of 1.111.
    """
    return F.dropout(half_to_float32(like.new_ones(count, 2, heads)), rate)


def tied_mask(pairs: Pairs, heads: int, rate: float, like: Tensor) -> Tensor:
    """One draw for each pair i ≤ j; an edge (j, i) swaps the two weights: [M, 2, heads]."""
    # Drawn for all pairs, so that the mask does not depend on how they are split.
    mask = endpoint_dropout_mask(pairs.total, heads, rate, like)
    whole = unordered_pairs(pairs.num_nodes, mask.device)
    mask = mask[whole.index[pairs.row, pairs.col]]
    return torch.where((pairs.row > pairs.col).view(-1, 1, 1), mask.flip(1), mask)


def independent_mask(
    pairs: Pairs, heads: int, rate: float, like: Tensor
) -> tuple[Tensor, Pairs, Tensor]:
    """One draw for each directed edge; pairs whose two masks differ are separated.

    An edge and its mirror remain equal if the mask of one is that of the other with the weights
    swapped: with one head and a rate of 0.1, that holds for 67 % of the pairs.

    Returns:
        The mask [M, 2, heads] of the new rows, the new pairs, and the old row of each new one.
    """
    size = pairs.num_nodes
    mask = endpoint_dropout_mask(size * size, heads, rate, like).view(size, size, 2, heads)
    differs = (mask != mask.transpose(0, 1).flip(2)).flatten(2).any(-1)
    pairs, source = pairs.separate(differs)
    return mask[pairs.row, pairs.col], pairs, source
