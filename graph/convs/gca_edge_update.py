"""The edge update of the globally correlation-aware layer."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import MessagePassing

from gcahng.graph.convs.parts import check_choice, check_divisible, feed_forward
from gcahng.graph.dense.dropout import endpoint_dropout_mask, independent_mask, tied_mask
from gcahng.graph.dense.edge_update import EdgeInputs, update_edges
from gcahng.graph.dense.memory import Memory
from gcahng.graph.dense.pairs import Pairs, pairs_of_edges

EdgeDropout = Literal["tied", "independent", "off"]


class EdgeUpdate(MessagePassing):
    """Attend from each edge to its two endpoints, then feed forward; formulas in `GCAConv`.

    The same update has two implementations. `forward` gathers endpoints on any graph; `on_pairs`
    runs once per unordered pair i ≤ j, which is exact because e_ij = e_ji at every depth.
    Independent dropout of (i, j) and (j, i) breaks this symmetry where the two masks differ; only
    these pairs then have a row for each direction. Attention over two keys is a sigmoid of the
    score difference, and the edge query folds into the nodes,
    q(e)·k_i = e·(W_qᵀ k_i) + b_q·k_i, so no projection per edge remains.

    Args:
        in_channels: Node channels.
        edge_dim: Edge channels in and out; divisible by `heads`.
        heads: Heads of the attention.
        dropout: Probability of dropping an endpoint's weight.
        edge_dropout: "tied", "independent" or "off".
        memory: What `on_pairs` saves for backward (`gcahng.graph.dense.memory`).
    """

    def __init__(
        self,
        in_channels: int,
        edge_dim: int,
        heads: int,
        dropout: float,
        edge_dropout: EdgeDropout,
        memory: Memory,
    ) -> None:
        super().__init__(aggr="add", node_dim=0)
        check_divisible("edge_dim", edge_dim, heads)
        check_choice("edge_dropout", edge_dropout, ("tied", "independent", "off"))
        check_choice("memory", memory, ("auto", "balanced", "low"))
        self.edge_dim, self.heads, self.memory = edge_dim, heads, memory
        self.dropout, self.edge_dropout = dropout, edge_dropout
        self.node_to_edge = nn.Linear(in_channels, edge_dim)
        self.query = nn.Linear(edge_dim, edge_dim)
        self.key = nn.Linear(edge_dim, edge_dim)
        self.value = nn.Linear(edge_dim, edge_dim)
        self.ffn = feed_forward(edge_dim, inner_norm=True)
        self.norm = nn.LayerNorm(edge_dim)

    @property
    def attention_maps(self) -> list[nn.Linear]:
        """Linear maps of the attention: query, key, value."""
        return [self.query, self.key, self.value]

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Update the edges of any graph by gathering: edge_attr [E, D] → [E, D]."""
        ends = F.gelu(self.node_to_edge(x))
        # edge_updater_type: (key: Tensor, value: Tensor, edge_attr: Tensor, dropout_mask: Tensor)
        return self.edge_updater(
            edge_index,
            key=self.key(ends),
            value=self.value(ends),
            edge_attr=edge_attr,
            dropout_mask=self._endpoint_dropout_mask(edge_index, x),
        )

    def edge_update(
        self,
        key_i: Tensor,
        key_j: Tensor,
        value_i: Tensor,
        value_j: Tensor,
        edge_attr: Tensor,
        dropout_mask: Tensor,
    ) -> Tensor:
        """Attend from each edge to its two endpoints, then feed forward; one shared LayerNorm."""
        split = (-1, self.heads, self.edge_dim // self.heads)
        query = self.query(edge_attr).view(split)
        keys = torch.stack([key_j.view(split), key_i.view(split)], dim=1)
        values = torch.stack([value_j.view(split), value_i.view(split)], dim=1)
        score = (query.unsqueeze(1) * keys).sum(-1) / math.sqrt(split[-1])
        weight = (score.softmax(dim=1) * dropout_mask).to(score.dtype)
        attended = (weight.unsqueeze(-1) * values).sum(1).flatten(1)
        edge_attr = self.norm(F.gelu(attended + edge_attr))
        return self.norm(F.gelu(self.ffn(edge_attr) + edge_attr))

    @property
    def separates_pairs(self) -> bool:
        """True if edges (i, j) and (j, i) may become different in the current mode."""
        return self.drops_edges and self.edge_dropout == "independent"

    def on_pairs(self, x: Tensor, pairs: Pairs, edge_attr: Tensor) -> tuple[Tensor, Pairs]:
        """Update the edges of a complete graph by rows: edge_attr [M, D] → [M, D].

        Returns:
            The edges and the pairs of their rows: those given, or with independent dropout more.

        Raises:
            ValueError: If several processes share pairs that become different.
        """
        ends = F.gelu(self.node_to_edge(x))
        folded, bias = self.fold_query(self.key(ends))
        mask = None
        if self.separates_pairs:
            if pairs.group is not None:
                raise ValueError(
                    "Expected all pairs for edge_dropout 'independent' (got those of one process); "
                    "use pair_graph without a group"
                )
            mask, pairs, source = independent_mask(pairs, self.heads, self.dropout, bias)
            edge_attr = edge_attr.index_select(0, source)
        elif self.drops_edges:
            mask = tied_mask(pairs, self.heads, self.dropout, bias)
        offset = bias.index_select(0, pairs.row) - bias.index_select(0, pairs.col)
        value = self.value(ends).view(-1, self.heads, self.edge_dim // self.heads)
        parameters = (*self.norm.parameters(), *self.ffn.parameters())
        inputs = EdgeInputs(edge_attr, folded, offset, value, *parameters)
        return update_edges(inputs, pairs, mask, self.memory), pairs

    def fold_query(self, key: Tensor) -> tuple[Tensor, Tensor]:
        """Fold the edge query into each node: f and b with q(e)·k/√d = e·f + b.

        Shapes: key [B, D] → f [B, heads, D], b [B, heads].
        """
        channels = self.edge_dim // self.heads
        key = key.view(-1, self.heads, channels).transpose(0, 1) / math.sqrt(channels)
        query_weight = self.query.weight.view(self.heads, channels, self.edge_dim)
        query_bias = self.query.bias.view(self.heads, channels)
        folded = (key @ query_weight).transpose(0, 1)
        return folded, torch.einsum("hbc,hc->bh", key, query_bias)

    @property
    def drops_edges(self) -> bool:
        """True if the edge attention applies dropout in the current mode."""
        return self.training and self.dropout > 0 and self.edge_dropout != "off"

    def _endpoint_dropout_mask(self, edge_index: Tensor, like: Tensor) -> Tensor:
        """Dropout factors [E, 2, heads] for (sender, receiver) of each edge."""
        if not self.drops_edges:
            return like.new_ones(1, 2, 1)
        if self.edge_dropout == "independent":
            return endpoint_dropout_mask(edge_index.size(1), self.heads, self.dropout, like)
        # One draw per unordered pair, (smaller node, larger node); reversed edges swap the two.
        count, pair_of_edge = pairs_of_edges(edge_index, like.size(0))
        mask = endpoint_dropout_mask(count, self.heads, self.dropout, like)[pair_of_edge]
        reversed_edge = (edge_index[0] > edge_index[1]).view(-1, 1, 1)
        return torch.where(reversed_edge, mask.flip(1), mask)
