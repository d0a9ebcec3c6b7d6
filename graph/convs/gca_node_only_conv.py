"""The node half of the globally correlation-aware layer: in `GCAConv`, and by itself."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

from gcahng.graph import gca_pairs
from gcahng.graph.convs.parts import check_choice, check_divisible, feed_forward, reset_maps
from gcahng.graph.dense.memory import Memory
from gcahng.graph.dense.pairs import Pairs


class GCANodeHalf(MessagePassing):
    """The node half for layers to inherit; `GCAConv` has the formulas."""

    def add_node_half(self, in_channels: int, edge_dim: int, heads: int, memory: Memory) -> None:
        """Make the parameters; arguments as in `GCAConv`."""
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
        """What makes queries, keys, values and the output of the node attention."""
        return [self.node_query, self.node_key, self.node_value, self.node_out]

    def sparse_nodes(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None
    ) -> Tensor:
        """New nodes of any graph: x → x."""
        alpha = self.node_attention(x, edge_index, y)
        value = self.node_value(x).view(-1, self.heads, self.in_channels // self.heads)
        edge_message = F.gelu(self.edge_to_node(edge_attr))
        # propagate_type: (alpha: Tensor, value: Tensor, edge_message: Tensor)
        received = self.propagate(edge_index, alpha=alpha, value=value, edge_message=edge_message)
        return self.update_nodes(x, *received.split(self.in_channels, dim=-1))

    def node_attention(self, x: Tensor, edge_index: Tensor, y: Tensor | None) -> Tensor:
        """Softmax over senders with an extra slot of score 0, "attend to nothing": [E, heads]."""
        sender, receiver = edge_index
        channels = self.in_channels // self.heads
        query = self.node_query(x).view(-1, self.heads, channels)
        key = self.node_key(x).view(-1, self.heads, channels)
        score = (query[receiver] * key[sender]).sum(-1) / math.sqrt(channels)
        if y is not None:
            score = score.masked_fill((y[sender] == y[receiver]).unsqueeze(-1), -torch.inf)
        # Shifting by max(0, largest score) leaves the value as it is and the exponentials ≤ 1.
        shift = scatter(score.detach(), receiver, 0, x.size(0), reduce="max").clamp(min=0)
        weight = (score - shift[receiver]).exp()
        total = scatter(weight, receiver, 0, x.size(0), reduce="sum") + (-shift).exp()
        return weight / total[receiver]

    def message(self, alpha: Tensor, value_j: Tensor, edge_message: Tensor) -> Tensor:
        """What an edge carries to its receiver: attended value and own feature, side by side."""
        return torch.cat([(alpha.unsqueeze(-1) * value_j).flatten(1), edge_message], dim=-1)

    def update_nodes(self, x: Tensor, attended: Tensor, from_edges: Tensor) -> Tensor:
        """The three residual node updates; they share one LayerNorm."""
        x = self.node_norm(F.gelu(x + self.node_out(attended)))
        x = self.node_norm(F.gelu(x + from_edges))
        return self.node_norm(F.gelu(x + self.node_ffn(x)))

    def pair_nodes(self, x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor) -> Tensor:
        """Node half of the layer on all pairs i ≤ j, edge_attr [M, edge_dim]: x → x."""
        return gca_pairs.node_update(self, x, pairs, edge_attr, y)


class GCANodeOnlyConv(GCANodeHalf):
    r"""Update node features from nodes and edges as `GCAConv` does; edges stay as they are.

    .. math::
        h_j &\leftarrow N(h_j + W_o \textstyle\sum_i \alpha_{ij} v_i) \\
        h_j &\leftarrow N(h_j + \textstyle\sum_i \mathrm{GELU}(W_{e \to n} e_{ij} + b)) \\
        h_j &\leftarrow N(h_j + W_2 \mathrm{GELU}(W_1 h_j)) \\
        e_{ij} &\leftarrow e_{ij}

    Args:
        in_channels: Node channels, kept by the layer; divisible by `heads`.
        edge_dim: Edge channels, kept by the layer.
        heads: Heads of the node attention.
        memory: What the dense path keeps for backward (`gcahng.graph.dense.memory`).

    Shapes:
        - **input:** x [N, in_channels], edge_index [2, E] (from row 0 to row 1),
          edge_attr [E, edge_dim], y [N] class labels or None (nothing masked).
        - **output:** x [N, in_channels], edge_attr [E, edge_dim].
    """

    runs_on_pairs = True

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
        """Run the layer on any graph by gathering and scattering."""
        return self.sparse_nodes(x, edge_index, edge_attr, y), edge_attr

    def pair_edges(self, x: Tensor, pairs: Pairs, edge_attr: Tensor) -> Tensor:
        """Edges as they are."""
        return edge_attr

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}({self.in_channels}, edge_dim={self.edge_dim}, "
            f"heads={self.heads})"
        )
