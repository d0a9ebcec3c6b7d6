"""The layer of `gca_conv.py` on the complete batch graph, an unordered pair at a time.

Everything here is the same algebra on the same parameters, reordered:

- e_ij = e_ji at every depth, so the heavy linear maps run on the B(B+1)/2 pairs i ≤ j;
- attention over two keys is a sigmoid of a score difference, and the edge query folds into the
  nodes: q(e)·k_i = e·(W_qᵀ k_i) + b_q·k_i, so no projection per edge remains;
- node scores are one dense product, the empty slot one more column.

It needs symmetric edges, so independent dropout of (i, j) and (j, i) has no dense path.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from gcahng.graph.dense.edge_update import EdgeInputs, update_edges
from gcahng.graph.dense.pair_functions import gelu_sum
from gcahng.graph.dense.pairs import Pairs, endpoint_dropout_mask

if TYPE_CHECKING:
    from gcahng.graph.convs.gca_edge_only_conv import GCAEdgeHalf
    from gcahng.graph.convs.gca_node_only_conv import GCANodeHalf


def node_update(
    conv: "GCANodeHalf", x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor
) -> Tensor:
    """Node half of the layer: [B, C] → [B, C]."""
    split = (-1, conv.heads, conv.in_channels // conv.heads)
    query = conv.node_query(x).view(split).transpose(0, 1)
    key = conv.node_key(x).view(split).transpose(0, 1)
    value = conv.node_value(x).view(split).transpose(0, 1)
    score = query @ key.transpose(1, 2) / math.sqrt(split[-1])  # [heads, receiver, sender]
    score = score.masked_fill(y.unsqueeze(0) == y.unsqueeze(1), -torch.inf)
    nothing = score.new_zeros(*score.shape[:2], 1)
    alpha = torch.cat([score, nothing], dim=-1).softmax(dim=-1)[..., :-1]
    attended = (alpha.to(value.dtype) @ value).transpose(0, 1).flatten(1)
    linear = conv.edge_to_node
    from_edges = gelu_sum(edge_attr, linear.weight, linear.bias, pairs, conv.memory)
    return conv.update_nodes(x, attended, from_edges)


def edge_update(conv: "GCAEdgeHalf", x: Tensor, pairs: Pairs, edge_attr: Tensor) -> Tensor:
    """Edge half of the layer: [M, D] → [M, D]."""
    ends = F.gelu(conv.node_to_edge(x))
    folded, bias = fold_query(conv, conv.edge_key(ends))
    offset = bias.index_select(0, pairs.row) - bias.index_select(0, pairs.col)
    keep = None
    if conv.drops_edges:
        keep = endpoint_dropout_mask(offset.size(0), conv.edge_heads, conv.dropout, offset)
    value = conv.edge_value(ends).view(-1, conv.edge_heads, conv.edge_dim // conv.edge_heads)
    parameters = (*conv.edge_norm.parameters(), *conv.edge_ffn.parameters())
    inputs = EdgeInputs(edge_attr, folded, offset, value, *parameters)
    return update_edges(inputs, pairs, keep, conv.memory)


def fold_query(conv: "GCAEdgeHalf", key: Tensor) -> tuple[Tensor, Tensor]:
    """Make f and b of each node, q(e)·k/√d = e·f + b: key [B, D] → [B, edge_heads, D], [B, H]."""
    channels = conv.edge_dim // conv.edge_heads
    key = key.view(-1, conv.edge_heads, channels).transpose(0, 1) / math.sqrt(channels)
    query_weight = conv.edge_query.weight.view(conv.edge_heads, channels, conv.edge_dim)
    query_bias = conv.edge_query.bias.view(conv.edge_heads, channels)
    folded = (key @ query_weight).transpose(0, 1)
    return folded, torch.einsum("hbc,hc->bh", key, query_bias)
