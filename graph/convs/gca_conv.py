"""The globally correlation-aware layer: nodes attend to nodes, then edges to their ends."""

from torch import Tensor

from gcahng.graph.convs.gca_edge_only_conv import EdgeDropout, GCAEdgeHalf
from gcahng.graph.convs.gca_node_only_conv import GCANodeHalf
from gcahng.graph.convs.parts import reset_maps
from gcahng.graph.dense.memory import Memory


class GCAConv(GCANodeHalf, GCAEdgeHalf):
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
    same parameters on the complete batch graph (`gcahng.graph.gca_pairs`).

    Args:
        in_channels: Node channels, kept by the layer; divisible by `heads`.
        edge_dim: Edge channels, kept by the layer; divisible by `edge_heads`.
        heads: Heads of the node attention.
        edge_heads: Heads of the edge attention; the published code has 1 whatever `heads` is.
        dropout: Probability of dropping an endpoint's weight in the edge attention.
        edge_dropout: One draw for (i, j) and (j, i) (`"tied"`, keeps edges symmetric), a draw for
            each (`"independent"`, as published), or none (`"off"`).
        memory: What the dense path keeps for backward (`gcahng.graph.dense.memory`).

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
        self.add_node_half(in_channels, edge_dim, heads, memory)
        self.add_edge_half(in_channels, edge_dim, edge_heads, dropout, edge_dropout, memory)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier weights and zero biases for both attentions, PyTorch's defaults elsewhere."""
        super().reset_parameters()
        reset_maps(self, [*self.node_attention_maps, *self.edge_attention_maps])

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the layer on any graph by gathering and scattering."""
        x = self.sparse_nodes(x, edge_index, edge_attr, y)
        return x, self.sparse_edges(x, edge_index, edge_attr)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}({self.in_channels}, edge_dim={self.edge_dim}, "
            f"heads={self.heads}, edge_heads={self.edge_heads})"
        )
