"""Unordered pairs of the nodes of a complete graph, and sums over them."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graph.precision import full_precision


@dataclass(frozen=True)
class Pairs:
    """All pairs i ≤ j of B nodes, sorted by (i, j); M = B(B+1)/2.

    Attributes:
        row: [M] the smaller node i.
        col: [M] the larger node j.
        weight: [M] directed edges behind a pair: 2 off the diagonal, 1 on it.
        index: [B, B] number of the pair behind each ordered pair; symmetric.
    """

    row: Tensor
    col: Tensor
    weight: Tensor
    index: Tensor

    @property
    def num_nodes(self) -> int:
        """B."""
        return self.index.size(0)

    def sum_to_nodes(self, values: Tensor) -> Tensor:
        """Sum pair values over all partners of each node, itself included: [M, D] → [B, D]."""
        total = values.new_zeros(self.num_nodes, values.size(1))
        total = total.index_add(0, self.row, values).index_add(0, self.col, values)
        # A self pair was added from both ends.
        return total - values.index_select(0, self.index.diagonal())

    def to_dense(self, values: Tensor) -> Tensor:
        """Spread pair values over both directions: [M, D] → [B, B, D]."""
        size = self.num_nodes
        return values.index_select(0, self.index.reshape(-1)).view(size, size, -1)


@lru_cache(maxsize=8)
def unordered_pairs(num_nodes: int, device: torch.device) -> Pairs:
    """The pairs of a complete graph with self loops; kept, since every batch has the same ones."""
    row, col = torch.triu_indices(num_nodes, num_nodes, device=device)
    index = torch.empty(num_nodes, num_nodes, dtype=torch.long, device=device)
    numbers = torch.arange(row.numel(), device=device)
    index[row, col] = numbers
    index[col, row] = numbers
    return Pairs(row, col, 2 - (row == col).long(), index)


@full_precision
def pair_batch_norm(norm: nn.BatchNorm1d, values: Tensor, pairs: Pairs) -> Tensor:
    """Batch normalisation over all B² directed edges, computed from the M pairs.

    Equals `norm(all edges)` including the running statistics: off-diagonal pairs count twice.

    Shapes: [M, D] → [M, D].
    """
    if not norm.training:
        return norm(values)
    weight = pairs.weight.to(values.dtype)
    count = pairs.num_nodes**2
    mean = weight @ values / count
    centred = values - mean
    variance = weight @ centred.square() / count
    tracked, running_mean, running_var = (
        norm.num_batches_tracked,
        norm.running_mean,
        norm.running_var,
    )
    assert tracked is not None
    assert running_mean is not None
    assert running_var is not None
    assert norm.momentum is not None
    with torch.no_grad():
        momentum = norm.momentum
        tracked.add_(1)
        running_mean.lerp_(mean.to(running_mean), momentum)
        running_var.lerp_((variance * (count / (count - 1))).to(running_var), momentum)
    return centred * (torch.rsqrt(variance + norm.eps) * norm.weight) + norm.bias


def endpoint_keep(num_pairs: int, heads: int, rate: float, like: Tensor) -> Tensor:
    """Dropout factors for the two endpoint weights of each pair: 0 or 1/(1-rate), [M, 2, heads]."""
    return F.dropout(like.new_ones(num_pairs, 2, heads), rate)
