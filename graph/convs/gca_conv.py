"""The globally correlation-aware layer: nodes attend to nodes, then edges to their ends."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

from graph import gca_pairs
from graph.pairs import Pairs, endpoint_keep
from graph.recompute import Memory

EdgeDropout = Literal["tied", "independent", "off"]


class GCAConv(MessagePassing):
    r"""Update node features from nodes and edges, then edge features from their two ends.

    From `Globally Correlation-Aware Hard Negative Generation
    <https://arxiv.org/abs/2411.13145>`_ (IJCV 2025), globally correlation learning. With
    :math:`N(\cdot) = \mathrm{LayerNorm}(\mathrm{GELU}(\cdot))`, one LayerNorm for the three node
    updates and one for the two edge updates:

    .. math::
        \alpha_{ij} &= \frac{\exp s_{ij}}{1 + \sum_i \exp s_{ij}}, \quad
            s_{ij} = q_j^\top k_i / \sqrt d, \quad \text{same class masked out} \\
        h_j &\leftarrow N(h_j + W_o \textstyle\sum_i \alpha_{ij} v_i) \\
        h_j &\leftarrow N(h_j + \textstyle\sum_i \mathrm{GELU}(W_{e \to n} e_{ij} + b)) \\
        h_j &\leftarrow N(h_j + W_2 \mathrm{GELU}(W_1 h_j)) \\
        e_{ij} &\leftarrow N(\mathrm{attention}(e_{ij}, \{u_i, u_j\}) + e_{ij}), \quad
            u_i = \mathrm{GELU}(W_{n \to e} h_i + b) \\
        e_{ij} &\leftarrow N(\mathrm{FFN}(e_{ij}) + e_{ij})

    `forward` is the readable reference for any graph; `pair_nodes` and `pair_edges` run the
    same parameters on the complete batch graph (`graph.gca_pairs`).

    Args:
        in_channels: Node channels, kept by the layer; divisible by `heads`.
        edge_dim: Edge channels, kept by the layer; divisible by `edge_heads`.
        heads: Heads of the node attention.
        edge_heads: Heads of the edge attention; the published code has 1 whatever `heads` is.
        dropout: Probability of dropping an endpoint's weight in the edge attention.
        edge_dropout: One draw for (i, j) and (j, i) (`"tied"`, keeps edges symmetric), a draw for
            each (`"independent"`, as published), or none (`"off"`).
        memory: What the dense path keeps for backward (`graph.recompute`).

    Shapes:
        - **input:** x [N, in_channels], edge_index [2, E] (from row 0 to row 1),
          edge_attr [E, edge_dim], y [N] class labels or None (nothing masked).
        - **output:** x [N, in_channels], edge_attr [E, edge_dim].
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
        super().__init__(aggr="add", node_dim=0)
        for name, width, parts in (
            ("in_channels", in_channels, heads),
            ("edge_dim", edge_dim, edge_heads),
        ):
            if width % parts:
                raise ValueError(f"Expected '{name}' divisible by {parts} heads (got {width})")
        if edge_dropout not in ("tied", "independent", "off"):
            raise ValueError(
                f"Expected 'edge_dropout' as tied, independent or off (got {edge_dropout!r})"
            )
        if memory not in ("auto", "balanced", "low"):
            raise ValueError(f"Expected 'memory' as auto, balanced or low (got {memory!r})")
        self.in_channels, self.edge_dim = in_channels, edge_dim
        self.heads, self.edge_heads = heads, edge_heads
        self.dropout, self.edge_dropout = dropout, edge_dropout
        self.memory = memory

        self.node_query = nn.Linear(in_channels, in_channels)
        self.node_key = nn.Linear(in_channels, in_channels)
        self.node_value = nn.Linear(in_channels, in_channels)
        self.node_out = nn.Linear(in_channels, in_channels)
        self.edge_to_node = nn.Linear(edge_dim, in_channels)
        self.node_ffn = nn.Sequential(
            nn.Linear(in_channels, 4 * in_channels),
            nn.GELU(),
            nn.Linear(4 * in_channels, in_channels),
        )
        self.node_norm = nn.LayerNorm(in_channels)

        self.node_to_edge = nn.Linear(in_channels, edge_dim)
        self.edge_query = nn.Linear(edge_dim, edge_dim)
        self.edge_key = nn.Linear(edge_dim, edge_dim)
        self.edge_value = nn.Linear(edge_dim, edge_dim)
        self.edge_ffn = nn.Sequential(
            nn.Linear(edge_dim, 4 * edge_dim),
            nn.GELU(),
            nn.LayerNorm(4 * edge_dim),
            nn.Linear(4 * edge_dim, edge_dim),
        )
        self.edge_norm = nn.LayerNorm(edge_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier weights and zero biases for both attentions, PyTorch's defaults elsewhere."""
        super().reset_parameters()
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.LayerNorm):
                module.reset_parameters()
        for linear in (
            *(self.node_query, self.node_key, self.node_value, self.node_out),
            *(self.edge_query, self.edge_key, self.edge_value),
        ):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the layer on any graph by gathering and scattering."""
        alpha = self.node_attention(x, edge_index, y)
        value = self.node_value(x).view(-1, self.heads, self.in_channels // self.heads)
        edge_message = F.gelu(self.edge_to_node(edge_attr))
        # propagate_type: (alpha: Tensor, value: Tensor, edge_message: Tensor)
        received = self.propagate(edge_index, alpha=alpha, value=value, edge_message=edge_message)
        x = self.update_nodes(x, *received.split(self.in_channels, dim=-1))

        ends = F.gelu(self.node_to_edge(x))
        # edge_updater_type: (key: Tensor, value: Tensor, edge_attr: Tensor, keep: Tensor)
        edge_attr = self.edge_updater(
            edge_index,
            key=self.edge_key(ends),
            value=self.edge_value(ends),
            edge_attr=edge_attr,
            keep=self._endpoint_keep(edge_index, x),
        )
        return x, edge_attr

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

    def edge_update(
        self,
        key_i: Tensor,
        key_j: Tensor,
        value_i: Tensor,
        value_j: Tensor,
        edge_attr: Tensor,
        keep: Tensor,
    ) -> Tensor:
        """Each edge queries the set of its two ends; the two residual updates share one norm."""
        split = (-1, self.edge_heads, self.edge_dim // self.edge_heads)
        query = self.edge_query(edge_attr).view(split)
        keys = torch.stack([key_j.view(split), key_i.view(split)], dim=1)
        values = torch.stack([value_j.view(split), value_i.view(split)], dim=1)
        score = (query.unsqueeze(1) * keys).sum(-1) / math.sqrt(split[-1])
        weight = score.softmax(dim=1) * keep
        attended = (weight.unsqueeze(-1) * values).sum(1).flatten(1)
        edge_attr = self.edge_norm(F.gelu(attended + edge_attr))
        return self.edge_norm(F.gelu(self.edge_ffn(edge_attr) + edge_attr))

    @property
    def runs_on_pairs(self) -> bool:
        """Whether edges stay symmetric in the present mode, as the dense path needs."""
        return not (self.drops_edges and self.edge_dropout == "independent")

    def pair_nodes(self, x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor) -> Tensor:
        """Node half of the layer on all pairs i ≤ j, edge_attr [M, edge_dim]: x → x."""
        return gca_pairs.node_update(self, x, pairs, edge_attr, y)

    def pair_edges(self, x: Tensor, pairs: Pairs, edge_attr: Tensor) -> Tensor:
        """Edge half of the layer on all pairs i ≤ j: edge_attr → edge_attr."""
        if not self.runs_on_pairs:
            raise ValueError(
                "Expected edge_dropout 'tied' or 'off' on a pair graph (got 'independent', which "
                "makes edges asymmetric); use batch_graph instead of pair_graph"
            )
        return gca_pairs.edge_update(self, x, pairs, edge_attr)

    @property
    def drops_edges(self) -> bool:
        """Whether this pass draws dropout in the edge attention."""
        return self.training and self.dropout > 0 and self.edge_dropout != "off"

    def _endpoint_keep(self, edge_index: Tensor, like: Tensor) -> Tensor:
        """Dropout factors [E, 2, edge_heads] for (sender, receiver) of each edge."""
        if not self.drops_edges:
            return like.new_ones(1, 2, 1)
        if self.edge_dropout == "independent":
            return endpoint_keep(edge_index.size(1), self.edge_heads, self.dropout, like)
        # One draw per unordered pair, (smaller node, larger node); reversed edges swap the two.
        low, high = edge_index.min(dim=0).values, edge_index.max(dim=0).values
        pairs, pair_of_edge = (low * like.size(0) + high).unique(return_inverse=True)
        keep = endpoint_keep(pairs.numel(), self.edge_heads, self.dropout, like)[pair_of_edge]
        reversed_edge = (edge_index[0] > edge_index[1]).view(-1, 1, 1)
        return torch.where(reversed_edge, keep.flip(1), keep)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}({self.in_channels}, edge_dim={self.edge_dim}, "
            f"heads={self.heads}, edge_heads={self.edge_heads})"
        )
