"""The node update of the globally correlation-aware layer."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

from gcahng.graph.convs.parts import check_choice, check_divisible, feed_forward
from gcahng.graph.dense.memory import Memory
from gcahng.graph.dense.pair_functions import gelu_sum
from gcahng.graph.dense.pairs import Pairs
from gcahng.graph.precision import half_to_float32


class NodeUpdate(MessagePassing):
    """Attend to the other nodes, sum the edges, then feed forward; formulas in `GCAConv`.

    The same update has two implementations. `forward` gathers and scatters on any graph; `on_pairs`
    runs on a complete batch graph, where attention scores are one dense product, the empty slot is
    one more column, and edges are stored once per unordered pair.

    Args:
        in_channels: Node channels in and out; divisible by `heads`.
        edge_dim: Edge channels.
        heads: Heads of the attention.
        memory: What `on_pairs` saves for backward (`gcahng.graph.dense.memory`).
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
        key = self.key(x).view(split).transpose(0, 1)
        value = self.value(x).view(split).transpose(0, 1)
        score = query @ key.transpose(1, 2) / math.sqrt(split[-1])  # [heads, receiver, sender]
        score = score.masked_fill(y.unsqueeze(0) == y.unsqueeze(1), -torch.inf)
        empty_slot = score.new_zeros(*score.shape[:2], 1)
        alpha = torch.cat([score, empty_slot], dim=-1).softmax(dim=-1)[..., :-1]
        attended = (alpha.to(value.dtype) @ value).transpose(0, 1).flatten(1)
        linear = self.edge_to_node
        from_edges = gelu_sum(edge_attr, linear.weight, linear.bias, pairs, self.memory)
        return self._update(x, attended, from_edges)
