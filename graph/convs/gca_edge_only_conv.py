"""The edge update of the globally correlation-aware layer, as a mixin and as a layer."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import MessagePassing

from gcahng.graph.convs.parts import check_choice, check_divisible, feed_forward, reset_maps
from gcahng.graph.dense.dropout import endpoint_dropout_mask, independent_mask, tied_mask
from gcahng.graph.dense.edge_update import EdgeInputs, update_edges
from gcahng.graph.dense.memory import Memory
from gcahng.graph.dense.pairs import Pairs, pairs_of_edges

EdgeDropout = Literal["tied", "independent", "off"]


class GCAEdgeHalf(MessagePassing):
    """Mixin with the edge update; formulas in `GCAConv`.

    The same update has two implementations. `sparse_edges` gathers endpoints on any graph;
    `pair_edges` runs once per unordered pair i ≤ j, which is exact because e_ij = e_ji at every
    depth. Independent dropout of (i, j) and (j, i) breaks this symmetry where the two masks differ;
    only these pairs then have a row for each direction. Attention over two keys is a sigmoid of the
    score difference, and the edge query folds into the nodes,
    q(e)·k_i = e·(W_qᵀ k_i) + b_q·k_i, so no projection per edge remains.
    """

    def add_edge_half(
        self,
        in_channels: int,
        edge_dim: int,
        edge_heads: int,
        dropout: float,
        edge_dropout: EdgeDropout,
        memory: Memory,
    ) -> None:
        """Create the parameters; arguments as in `GCAConv`."""
        check_divisible("edge_dim", edge_dim, edge_heads)
        check_choice("edge_dropout", edge_dropout, ("tied", "independent", "off"))
        check_choice("memory", memory, ("auto", "balanced", "low"))
        self.in_channels, self.edge_dim = in_channels, edge_dim
        self.edge_heads, self.memory = edge_heads, memory
        self.dropout, self.edge_dropout = dropout, edge_dropout
        self.node_to_edge = nn.Linear(in_channels, edge_dim)
        self.edge_query = nn.Linear(edge_dim, edge_dim)
        self.edge_key = nn.Linear(edge_dim, edge_dim)
        self.edge_value = nn.Linear(edge_dim, edge_dim)
        self.edge_ffn = feed_forward(edge_dim, inner_norm=True)
        self.edge_norm = nn.LayerNorm(edge_dim)

    @property
    def edge_attention_maps(self) -> list[nn.Linear]:
        """Linear maps of the edge attention: query, key, value."""
        return [self.edge_query, self.edge_key, self.edge_value]

    def sparse_edges(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Update the edges of any graph by gathering: edge_attr [E, D] → [E, D]."""
        ends = F.gelu(self.node_to_edge(x))
        # edge_updater_type: (key: Tensor, value: Tensor, edge_attr: Tensor, dropout_mask: Tensor)
        return self.edge_updater(
            edge_index,
            key=self.edge_key(ends),
            value=self.edge_value(ends),
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
        split = (-1, self.edge_heads, self.edge_dim // self.edge_heads)
        query = self.edge_query(edge_attr).view(split)
        keys = torch.stack([key_j.view(split), key_i.view(split)], dim=1)
        values = torch.stack([value_j.view(split), value_i.view(split)], dim=1)
        score = (query.unsqueeze(1) * keys).sum(-1) / math.sqrt(split[-1])
        weight = (score.softmax(dim=1) * dropout_mask).to(score.dtype)
        attended = (weight.unsqueeze(-1) * values).sum(1).flatten(1)
        edge_attr = self.edge_norm(F.gelu(attended + edge_attr))
        return self.edge_norm(F.gelu(self.edge_ffn(edge_attr) + edge_attr))

    @property
    def separates_pairs(self) -> bool:
        """True if edges (i, j) and (j, i) may become different in the current mode."""
        return self.drops_edges and self.edge_dropout == "independent"

    def pair_edges(self, x: Tensor, pairs: Pairs, edge_attr: Tensor) -> tuple[Tensor, Pairs]:
        """Update the edges of a complete graph by rows: edge_attr [M, D] → [M, D].

        Returns:
            The edges and the pairs of their rows: those given, or with independent dropout more.

        Raises:
            ValueError: If several processes share pairs that become different.
        """
        ends = F.gelu(self.node_to_edge(x))
        folded, bias = self.fold_query(self.edge_key(ends))
        mask = None
        if self.separates_pairs:
            if pairs.group is not None:
                raise ValueError(
                    "Expected all pairs for edge_dropout 'independent' (got those of one process); "
                    "use pair_graph without a group"
                )
            mask, pairs, source = independent_mask(pairs, self.edge_heads, self.dropout, bias)
            edge_attr = edge_attr.index_select(0, source)
        elif self.drops_edges:
            mask = tied_mask(pairs, self.edge_heads, self.dropout, bias)
        offset = bias.index_select(0, pairs.row) - bias.index_select(0, pairs.col)
        value = self.edge_value(ends).view(-1, self.edge_heads, self.edge_dim // self.edge_heads)
        parameters = (*self.edge_norm.parameters(), *self.edge_ffn.parameters())
        inputs = EdgeInputs(edge_attr, folded, offset, value, *parameters)
        return update_edges(inputs, pairs, mask, self.memory), pairs

    def fold_query(self, key: Tensor) -> tuple[Tensor, Tensor]:
        """Fold the edge query into each node: f and b with q(e)·k/√d = e·f + b.

        Shapes: key [B, D] → f [B, edge_heads, D], b [B, edge_heads].
        """
        channels = self.edge_dim // self.edge_heads
        key = key.view(-1, self.edge_heads, channels).transpose(0, 1) / math.sqrt(channels)
        query_weight = self.edge_query.weight.view(self.edge_heads, channels, self.edge_dim)
        query_bias = self.edge_query.bias.view(self.edge_heads, channels)
        folded = (key @ query_weight).transpose(0, 1)
        return folded, torch.einsum("hbc,hc->bh", key, query_bias)

    @property
    def drops_edges(self) -> bool:
        """True if the edge attention applies dropout in the current mode."""
        return self.training and self.dropout > 0 and self.edge_dropout != "off"

    def _endpoint_dropout_mask(self, edge_index: Tensor, like: Tensor) -> Tensor:
        """Dropout factors [E, 2, edge_heads] for (sender, receiver) of each edge."""
        if not self.drops_edges:
            return like.new_ones(1, 2, 1)
        if self.edge_dropout == "independent":
            return endpoint_dropout_mask(edge_index.size(1), self.edge_heads, self.dropout, like)
        # One draw per unordered pair, (smaller node, larger node); reversed edges swap the two.
        count, pair_of_edge = pairs_of_edges(edge_index, like.size(0))
        mask = endpoint_dropout_mask(count, self.edge_heads, self.dropout, like)[pair_of_edge]
        reversed_edge = (edge_index[0] > edge_index[1]).view(-1, 1, 1)
        return torch.where(reversed_edge, mask.flip(1), mask)


class GCAEdgeOnlyConv(GCAEdgeHalf):
    r"""Update the edges as `GCAConv` does and leave the nodes unchanged.

    .. math::
        h_j &\leftarrow h_j \\
        e_{ij} &\leftarrow N(\mathrm{attention}(e_{ij}, \{u_i, u_j\}) + e_{ij}), \quad
            u_i = \mathrm{GELU}(W_{n \to e} h_i + b) \\
        e_{ij} &\leftarrow N(\mathrm{FFN}(e_{ij}) + e_{ij})

    Args:
        in_channels: Node channels.
        edge_dim: Edge channels in and out; divisible by `edge_heads`.
        edge_heads: Heads of the edge attention.
        dropout: Probability of dropping an endpoint's weight in the edge attention.
        edge_dropout: As in `GCAConv`: "tied", "independent" or "off".
        memory: What the dense path saves for backward (`gcahng.graph.dense.memory`).

    Shapes:
        - **input:** x [N, in_channels], edge_index [2, E] (row 0 sends to row 1),
          edge_attr [E, edge_dim], y [N] class labels or None (ignored).
        - **output:** x [N, in_channels], edge_attr [E, edge_dim].
    """

    def __init__(
        self,
        in_channels: int,
        edge_dim: int,
        edge_heads: int = 1,
        dropout: float = 0.1,
        edge_dropout: EdgeDropout = "tied",
        memory: Memory = "auto",
    ) -> None:
        super().__init__(aggr="add", node_dim=0)
        self.add_edge_half(in_channels, edge_dim, edge_heads, dropout, edge_dropout, memory)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier weights and zero biases for the attention, PyTorch's defaults elsewhere."""
        super().reset_parameters()
        reset_maps(self, self.edge_attention_maps)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the layer on any graph by gathering endpoints."""
        return x, self.sparse_edges(x, edge_index, edge_attr)

    def pair_nodes(self, x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor) -> Tensor:
        """Return the nodes unchanged."""
        return x

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}({self.in_channels}, edge_dim={self.edge_dim}, "
            f"edge_heads={self.edge_heads})"
        )
