"""The node update of the globally correlation-aware layer, as a mixin and as a layer."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

from gcahng.graph.convs.parts import check_choice, check_divisible, feed_forward, reset_maps
from gcahng.graph.dense.memory import Memory
from gcahng.graph.dense.pair_functions import gelu_sum
from gcahng.graph.dense.pairs import Pairs
from gcahng.graph.precision import half_to_float32


class GCANodeHalf(MessagePassing):
    """Mixin with the node update; formulas in `GCAConv`.

    The same update has two implementations. `sparse_nodes` gathers and scatters on any graph;
    `pair_nodes` runs on a complete batch graph, where attention scores are one dense product, the
    empty slot is one more column, and edges are stored once per unordered pair.
    """

    def add_node_half(self, in_channels: int, edge_dim: int, heads: int, memory: Memory) -> None:
        """Create the parameters; arguments as in `GCAConv`."""
        check_divisible("in_channels", in_channels, heads)
        check_choice("memory", memory, ("auto", "balanced", "low"))
        self.in_channels, self.edge_dim = in_channels, edge_dim
        self.heads, self.memory = heads, memory
        self.node_query = nn.Linear(in_channels, in_channels)
        self.node_key = nn.Linear(in_channels, in_channels)
        self.node_value = nn.Linear(in_channels, in_channels)
        self.node_out = nn.Linear(in_channels, in_channels)
        self.edge_to_node = nn.Linear(edge_dim, in_channels)
        self.node_ffn = feed_forward(in_channels)
        self.node_norm = nn.LayerNorm(in_channels)

    @property
    def node_attention_maps(self) -> list[nn.Linear]:
        """Linear maps of the node attention: query, key, value, output."""
        return [self.node_query, self.node_key, self.node_value, self.node_out]

    def sparse_nodes(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None
    ) -> Tensor:
        """Update the nodes of any graph by message passing: x [N, C] → [N, C]."""
        alpha = self.node_attention(x, edge_index, y)
        value = self.node_value(x).view(-1, self.heads, self.in_channels // self.heads)
        # propagate_type: (alpha: Tensor, value: Tensor)
        attended = self.propagate(edge_index, alpha=alpha, value=value)
        active = F.gelu(half_to_float32(self.edge_to_node(edge_attr)))
        # As published: a node attends to the edges that it receives and sums those that it sends.
        from_edges = scatter(active, edge_index[0], 0, x.size(0), reduce="sum")
        return self.update_nodes(x, attended, from_edges)

    def node_attention(self, x: Tensor, edge_index: Tensor, y: Tensor | None) -> Tensor:
        """Softmax over senders and one empty slot of score 0 ("attend to nothing"): [E, heads]."""
        sender, receiver = edge_index
        channels = self.in_channels // self.heads
        query = self.node_query(x).view(-1, self.heads, channels)
        key = self.node_key(x).view(-1, self.heads, channels)
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

    def update_nodes(self, x: Tensor, attended: Tensor, from_edges: Tensor) -> Tensor:
        """Apply the three residual updates, which share one LayerNorm."""
        x = self.node_norm(F.gelu(x + self.node_out(attended)))
        x = self.node_norm(F.gelu(x + from_edges))
        return self.node_norm(F.gelu(x + self.node_ffn(x)))

    def pair_nodes(self, x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor) -> Tensor:
        """Update the nodes of a complete graph, edge_attr [M, edge_dim]: x [B, C] → [B, C]."""
        split = (-1, self.heads, self.in_channels // self.heads)
        query = self.node_query(x).view(split).transpose(0, 1)
        key = self.node_key(x).view(split).transpose(0, 1)
        value = self.node_value(x).view(split).transpose(0, 1)
        score = query @ key.transpose(1, 2) / math.sqrt(split[-1])  # [heads, receiver, sender]
        score = score.masked_fill(y.unsqueeze(0) == y.unsqueeze(1), -torch.inf)
        empty_slot = score.new_zeros(*score.shape[:2], 1)
        alpha = torch.cat([score, empty_slot], dim=-1).softmax(dim=-1)[..., :-1]
        attended = (alpha.to(value.dtype) @ value).transpose(0, 1).flatten(1)
        linear = self.edge_to_node
        from_edges = gelu_sum(edge_attr, linear.weight, linear.bias, pairs, self.memory)
        return self.update_nodes(x, attended, from_edges)


class GCANodeOnlyConv(GCANodeHalf):
    r"""Update the nodes as `GCAConv` does and leave the edges unchanged.

    .. math::
        h_j &\leftarrow N(h_j + W_o \textstyle\sum_i \alpha_{ij} v_i) \\
        h_i &\leftarrow N(h_i + \textstyle\sum_j \mathrm{GELU}(W_{e \to n} e_{ij} + b)) \\
        h_j &\leftarrow N(h_j + W_2 \mathrm{GELU}(W_1 h_j)) \\
        e_{ij} &\leftarrow e_{ij}

    Args:
        in_channels: Node channels in and out; divisible by `heads`.
        edge_dim: Edge channels.
        heads: Heads of the node attention.
        memory: What the dense path saves for backward (`gcahng.graph.dense.memory`).

    Shapes:
        - **input:** x [N, in_channels], edge_index [2, E] (row 0 sends to row 1),
          edge_attr [E, edge_dim], y [N] class labels or None (nothing masked).
        - **output:** x [N, in_channels], edge_attr [E, edge_dim].
    """

    def __init__(
        self, in_channels: int, edge_dim: int, heads: int = 4, memory: Memory = "auto"
    ) -> None:
        super().__init__(aggr="add", node_dim=0)
        self.add_node_half(in_channels, edge_dim, heads, memory)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier weights and zero biases for the attention, PyTorch's defaults elsewhere."""
        super().reset_parameters()
        reset_maps(self, self.node_attention_maps)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the layer on any graph by message passing."""
        return self.sparse_nodes(x, edge_index, edge_attr, y), edge_attr

    def pair_edges(self, x: Tensor, pairs: Pairs, edge_attr: Tensor) -> tuple[Tensor, Pairs]:
        """Return the edges unchanged."""
        return edge_attr, pairs

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}({self.in_channels}, edge_dim={self.edge_dim}, "
            f"heads={self.heads})"
        )
