"""The globally correlation-aware layer: nodes attend to nodes, then edges to their endpoints."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

from gcahng.graph.convs.parts import check_choice, check_divisible, feed_forward, reset_maps
from gcahng.graph.dense.edge_update import (
    EdgeInputs,
    endpoint_dropout_mask,
    independent_mask,
    tied_mask,
    update_edges,
)
from gcahng.graph.dense.pairs import Memory, Pairs, gelu_sum, pairs_of_edges
from gcahng.graph.precision import half_to_float32


class NodeUpdate(MessagePassing):
    """Attend to the other nodes, sum the edges, then feed forward; formulas in `GCAConv`.

    The same update has two implementations. `forward` gathers and scatters on any graph; `on_pairs`
    runs on a complete batch graph, where attention scores are one dense product, the empty slot is
    one more column, and edges are stored once per unordered pair.
    """

    def __init__(self, in_channels: int, edge_dim: int, heads: int, memory: Memory) -> None:
        super().__init__(aggr="add", node_dim=0)
        check_divisible("in_channels", in_channels, heads)
        check_choice("memory", memory, ("auto", "balanced", "low"))
        self.in_channels, self.heads, self.memory = in_channels, heads, memory
        self.query = nn.Linear(in_channels, in_channels)
        self.key = nn.Linear(in_channels, in_channels)
        self.value = nn.Linear(in_channels, in_channels)
        self.out = nn.Linear(in_channels, in_channels)
        self.edge_to_node = nn.Linear(edge_dim, in_channels)
        self.ffn = feed_forward(in_channels)
        self.norm = nn.LayerNorm(in_channels)

    @property
    def attention_maps(self) -> list[nn.Linear]:
        """Linear maps of the attention: query, key, value, output."""
        return [self.query, self.key, self.value, self.out]

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None) -> Tensor:
        """Update the nodes of any graph by message passing: x [N, C] → [N, C]."""
        alpha = self.attention(x, edge_index, y)
        value = self.value(x).view(-1, self.heads, self.in_channels // self.heads)
        # propagate_type: (alpha: Tensor, value: Tensor)
        attended = self.propagate(edge_index, alpha=alpha, value=value)
        active = F.gelu(half_to_float32(self.edge_to_node(edge_attr)))
        # As published: a node attends to the edges that it receives and sums those that it sends.
        from_edges = scatter(active, edge_index[0], 0, x.size(0), reduce="sum")
        return self._update(x, attended, from_edges)

    def attention(self, x: Tensor, edge_index: Tensor, y: Tensor | None) -> Tensor:
        """Softmax over senders and one empty slot of score 0 ("attend to nothing"): [E, heads]."""
        sender, receiver = edge_index
        channels = self.in_channels // self.heads
        query = self.query(x).view(-1, self.heads, channels)
        key = self.key(x).view(-1, self.heads, channels)
        score = (query[receiver] * key[sender]).sum(-1) / math.sqrt(channels)
        if y is not None:
            score = score.masked_fill((y[sender] == y[receiver]).unsqueeze(-1), -torch.inf)
        # Subtracting max(0, largest score) leaves the softmax unchanged; no exponential overflows.
        shift = scatter(score.detach(), receiver, 0, x.size(0), reduce="max").clamp(min=0)
        weight = (score - shift[receiver]).exp()
        total = scatter(weight, receiver, 0, x.size(0), reduce="sum") + (-shift).exp()
        return weight / total[receiver]

    def message(self, alpha: Tensor, value_j: Tensor) -> Tensor:
        """Weigh the value of each edge's sender: [E, C]."""
        return (alpha.unsqueeze(-1) * value_j).flatten(1)

    def _update(self, x: Tensor, attended: Tensor, from_edges: Tensor) -> Tensor:
        """Apply the three residual updates, which share one LayerNorm."""
        x = self.norm(F.gelu(x + self.out(attended)))
        x = self.norm(F.gelu(x + from_edges))
        return self.norm(F.gelu(x + self.ffn(x)))

    def on_pairs(self, x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor) -> Tensor:
        """Update the nodes of a complete graph, edge_attr [M, edge_dim]: x [B, C] → [B, C]."""
        split = (-1, self.heads, self.in_channels // self.heads)
        query = self.query(x).view(split).transpose(0, 1)
        # The empty slot is one more node whose key and value are 0.
        key = F.pad(self.key(x), (0, 0, 0, 1)).view(split).transpose(0, 1)
        value = F.pad(self.value(x), (0, 0, 0, 1)).view(split).transpose(0, 1)
        allowed = F.pad(y.unsqueeze(1) != y, (0, 1), value=True)  # [receiver, sender]
        attended = F.scaled_dot_product_attention(query, key, value, allowed)
        attended = attended.transpose(0, 1).flatten(1)
        linear = self.edge_to_node
        from_edges = gelu_sum(edge_attr, linear.weight, linear.bias, pairs, self.memory)
        return self._update(x, attended, from_edges)


EdgeDropout = Literal["tied", "independent", "off"]


class EdgeUpdate(MessagePassing):
    """Attend from each edge to its two endpoints, then feed forward; formulas in `GCAConv`.

    The same update has two implementations. `forward` gathers endpoints on any graph; `on_pairs`
    runs once per unordered pair i ≤ j, which is exact because e_ij = e_ji at every depth.
    Independent dropout of (i, j) and (j, i) breaks this symmetry where the two masks differ; only
    these pairs then have a row for each direction. Attention over two keys is a sigmoid of the
    score difference, and the edge query folds into the nodes,
    q(e)·k_i = e·(W_qᵀ k_i) + b_q·k_i, so no projection per edge remains.
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
        """Update the edges of a complete graph by rows: edge_attr [M, D] → [M, D], and its pairs.

        With independent dropout there are more rows than before.
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
        nodes = torch.cat([bias, folded.flatten(1), self.value(ends)], dim=1)
        inputs = EdgeInputs(edge_attr, nodes, *self.norm.parameters(), *self.ffn.parameters())
        return update_edges(inputs, pairs, mask, self.memory), pairs

    def fold_query(self, key: Tensor) -> tuple[Tensor, Tensor]:
        """Fold the edge query into f [B, heads, D] and b [B, heads]: q(e)·k/√d = e·f + b."""
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


class ComposedConv(nn.Module):
    """A layer of an update of the nodes, then one of the edges from the new nodes, or one alone."""

    def __init__(
        self, in_channels: int, edge_dim: int, nodes: NodeUpdate | None, edges: EdgeUpdate | None
    ) -> None:
        super().__init__()
        self.in_channels, self.edge_dim = in_channels, edge_dim
        self.nodes, self.edges = nodes, edges
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier weights and zero biases for the attention, PyTorch's defaults elsewhere."""
        updates = [part for part in (self.nodes, self.edges) if part is not None]
        reset_maps(self, [linear for part in updates for linear in part.attention_maps])

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the layer on any graph by message passing."""
        if self.nodes is not None:
            x = self.nodes(x, edge_index, edge_attr, y)
        return x, edge_attr if self.edges is None else self.edges(x, edge_index, edge_attr)

    def pair_nodes(self, x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor) -> Tensor:
        """Update the nodes of a complete graph: x [B, C] → [B, C]."""
        return x if self.nodes is None else self.nodes.on_pairs(x, pairs, edge_attr, y)

    def pair_edges(self, x: Tensor, pairs: Pairs, edge_attr: Tensor) -> tuple[Tensor, Pairs]:
        """Update the edges of a complete graph, and their pairs: edge_attr [M, D] → [M, D]."""
        return (
            (edge_attr, pairs) if self.edges is None else self.edges.on_pairs(x, pairs, edge_attr)
        )

    @property
    def separates_pairs(self) -> bool:
        """True if edges (i, j) and (j, i) may become different in the current mode."""
        return self.edges is not None and self.edges.separates_pairs

    def __repr__(self) -> str:
        heads = [] if self.nodes is None else [f"heads={self.nodes.heads}"]
        heads += [] if self.edges is None else [f"edge_heads={self.edges.heads}"]
        sizes = f"{self.in_channels}, edge_dim={self.edge_dim}"
        return f"{self.__class__.__name__}({', '.join([sizes, *heads])})"


class GCAConv(ComposedConv):
    r"""Update nodes from nodes and edges, then edges from their two endpoints.

    From `Globally Correlation-Aware Hard Negative Generation
    <https://arxiv.org/abs/2411.13145>`_ (IJCV 2025), globally correlation learning. With
    :math:`N(\cdot) = \mathrm{LayerNorm}(\mathrm{GELU}(\cdot))`, one LayerNorm for the three node
    updates and one for the two edge updates:

    .. math::
        \alpha_{ij} &= \frac{\exp s_{ij}}{1 + \sum_{m: y_m \ne y_j} \exp s_{mj}}, \quad
            s_{ij} = q_j^\top k_i / \sqrt d, \quad \alpha_{ij} = 0 \text{ if } y_i = y_j \\
        h_j &\leftarrow N(h_j + W_o \textstyle\sum_i \alpha_{ij} v_i) \\
        h_i &\leftarrow N(h_i + \textstyle\sum_j \mathrm{GELU}(W_{e \to n} e_{ij} + b)) \\
        h_j &\leftarrow N(h_j + W_2 \mathrm{GELU}(W_1 h_j)) \\
        e_{ij} &\leftarrow N(\mathrm{attention}(e_{ij}, \{u_i, u_j\}) + e_{ij}), \quad
            u_i = \mathrm{GELU}(W_{n \to e} h_i + b) \\
        e_{ij} &\leftarrow N(\mathrm{FFN}(e_{ij}) + e_{ij})

    Attention goes from i to j. The edges are summed by their first node, as in the published code,
    so node i sums those that it sends; this differs from the ones that it receives once
    :math:`e_{ij} \ne e_{ji}`, that is after independent dropout.

    `forward` is the reference for any graph; `pair_nodes` and `pair_edges` compute the same on a
    complete batch graph, once per unordered pair, with the same parameters.

    Args:
        in_channels: Node channels in and out; divisible by `heads`.
        edge_dim: Edge channels in and out; divisible by `edge_heads`.
        heads: Heads of the node attention.
        edge_heads: Heads of the edge attention; the published code always has 1.
        dropout: Probability of dropping an endpoint's weight in the edge attention.
        edge_dropout: `"tied"`: (i, j) and (j, i) share a dropout mask, which keeps edges symmetric;
            `"independent"`: one mask each, as published; `"off"`: no dropout.
        memory: What the dense path saves for backward (`gcahng.graph.dense.pairs`).

    Shapes:
        - **input:** x [N, in_channels], edge_index [2, E] (row 0 sends to row 1),
          edge_attr [E, edge_dim], y [N] class labels or None (nothing masked).
        - **output:** x [N, in_channels], edge_attr [E, edge_dim].

    Example:
        >>> import torch
        >>> from gcahng.graph import batch_graph
        >>> conv = GCAConv(8, edge_dim=8, heads=2)
        >>> conv
        GCAConv(8, edge_dim=8, heads=2, edge_heads=1)
        >>> graph = batch_graph(torch.randn(6, 8), labels=torch.tensor([0, 1, 2, 0, 1, 2]))
        >>> x, edge_attr = conv(graph.x, graph.edge_index, graph.edge_attr, graph.y)
        >>> x.shape, edge_attr.shape
        (torch.Size([6, 8]), torch.Size([36, 8]))
    """

    def __init__(
        self,
        in_channels: int,
        edge_dim: int,
        heads: int = 4,
        edge_heads: int = 1,
        dropout: float = 0.1,
        edge_dropout: EdgeDropout = "tied",
        memory: Memory = "auto",
    ) -> None:
        super().__init__(
            in_channels,
            edge_dim,
            NodeUpdate(in_channels, edge_dim, heads, memory),
            EdgeUpdate(in_channels, edge_dim, edge_heads, dropout, edge_dropout, memory),
        )


class GCANodeOnlyConv(ComposedConv):
    """Update the nodes as `GCAConv` does and leave the edges unchanged; arguments as there."""

    def __init__(
        self, in_channels: int, edge_dim: int, heads: int = 4, memory: Memory = "auto"
    ) -> None:
        nodes = NodeUpdate(in_channels, edge_dim, heads, memory)
        super().__init__(in_channels, edge_dim, nodes, None)


class GCAEdgeOnlyConv(ComposedConv):
    """Update the edges as `GCAConv` does and leave the nodes unchanged; arguments as there."""

    def __init__(
        self,
        in_channels: int,
        edge_dim: int,
        edge_heads: int = 1,
        dropout: float = 0.1,
        edge_dropout: EdgeDropout = "tied",
        memory: Memory = "auto",
    ) -> None:
        edges = EdgeUpdate(in_channels, edge_dim, edge_heads, dropout, edge_dropout, memory)
        super().__init__(in_channels, edge_dim, None, edges)
