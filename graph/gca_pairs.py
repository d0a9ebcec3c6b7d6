"""The layer of `gca_conv.py` on the complete batch graph, an unordered pair at a time.

Everything here is the same algebra on the same parameters, reordered:

- e_ij = e_ji at every depth, so the heavy linear maps run on the B(B+1)/2 pairs i ≤ j;
- attention over two keys is a sigmoid of a score difference, and the edge query folds into the
  nodes: q(e)·k_i = e·(W_qᵀ k_i) + b_q·k_i, so no projection per edge remains;
- node scores are one dense product, the empty slot one more column.

It needs symmetric edges, so independent dropout of (i, j) and (j, i) has no dense path.
"""

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from graph.edge_ffn import edge_feed_forward
from graph.pairs import Pairs, endpoint_keep

if TYPE_CHECKING:
    from graph.convs.gca_conv import GCAConv


def node_update(conv: "GCAConv", x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor) -> Tensor:
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
    from_edges = pairs.sum_to_nodes(F.gelu(conv.edge_to_node(edge_attr)))
    return conv.update_nodes(x, attended, from_edges)


def edge_update(conv: "GCAConv", x: Tensor, pairs: Pairs, edge_attr: Tensor) -> Tensor:
    """Edge half of the layer: [M, D] → [M, D]."""
    ends = F.gelu(conv.node_to_edge(x))
    weight = _first_weight(conv, conv.edge_key(ends), pairs, edge_attr)
    weights = torch.stack([weight, 1 - weight], dim=1)
    if conv.drops_edges:
        weights = weights * endpoint_keep(weights.size(0), conv.edge_heads, conv.dropout, weights)
    value = conv.edge_value(ends).view(-1, conv.edge_heads, conv.edge_dim // conv.edge_heads)
    first, second = weights.unsqueeze(-1).unbind(1)
    attended = first * value.index_select(0, pairs.row) + second * value.index_select(0, pairs.col)
    edge_attr = conv.edge_norm(F.gelu(attended.flatten(1) + edge_attr))
    return conv.edge_norm(
        F.gelu(edge_feed_forward(conv.edge_ffn, edge_attr, conv.memory) + edge_attr)
    )


def _first_weight(conv: "GCAConv", key: Tensor, pairs: Pairs, edge_attr: Tensor) -> Tensor:
    """Attention weight of the smaller end of each pair, σ(s_i - s_j): [M, edge_heads]."""
    channels = conv.edge_dim // conv.edge_heads
    key = key.view(-1, conv.edge_heads, channels).transpose(0, 1) / math.sqrt(channels)
    query_weight = conv.edge_query.weight.view(conv.edge_heads, channels, conv.edge_dim)
    folded = (key @ query_weight).transpose(0, 1)  # [B, edge_heads, D]
    bias = torch.einsum("hbc,hc->bh", key, conv.edge_query.bias.view(conv.edge_heads, channels))
    difference = bias.index_select(0, pairs.row) - bias.index_select(0, pairs.col)
    return torch.sigmoid(EndDifference.apply(edge_attr, folded, pairs) + difference)


class EndDifference(torch.autograd.Function):
    """s_mh = e_m·(f_ih - f_jh) for each pair m = (i, j), keeping only e and f for backward.

    Shapes: e [M, D], f [B, H, D] → s [M, H].
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(ctx: Any, edge_attr: Tensor, folded: Tensor, pairs: Pairs) -> Tensor:
        """Take one head at a time."""
        ctx.save_for_backward(edge_attr, folded)
        ctx.pairs = pairs
        return torch.stack(
            [(edge_attr * _difference(f, pairs)).sum(-1) for f in folded.unbind(1)], dim=-1
        )

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Gather the differences again instead of having kept them."""
        edge_attr, folded = ctx.saved_tensors
        pairs = ctx.pairs
        grad_edge, grad_folded = torch.zeros_like(edge_attr), []
        for f, g in zip(folded.unbind(1), grad.unsqueeze(-1).unbind(1), strict=True):
            grad_edge.addcmul_(g, _difference(f, pairs))
            flow = g * edge_attr
            total = torch.zeros_like(f).index_add_(0, pairs.row, flow)
            grad_folded.append(total.index_add_(0, pairs.col, flow, alpha=-1))
        return grad_edge, torch.stack(grad_folded, dim=1), None


def _difference(values: Tensor, pairs: Pairs) -> Tensor:
    return values.index_select(0, pairs.row) - values.index_select(0, pairs.col)
