"""The globally correlation-aware layer: nodes attend to nodes, then edges to their endpoints."""

from torch import Tensor, nn

from gcahng.graph.convs.gca_edge_update import EdgeDropout, EdgeUpdate
from gcahng.graph.convs.gca_node_update import NodeUpdate
from gcahng.graph.convs.parts import reset_maps
from gcahng.graph.dense.memory import Memory
from gcahng.graph.dense.pairs import Pairs


class GCAConv(nn.Module):
    r"""Update nodes from nodes and edges, then edges from their two endpoints.

    From `Globally Correlation-Aware Hard Negative Generation
    <https://arxiv.org/abs/2411.13145>`_ (IJCV 2025), globally correlation learning. With
    :math:`N(\cdot) = \mathrm{LayerNorm}(\mathrm{GELU}(\cdot))`, one LayerNorm for the three node
    updates and one for the two edge updates:

    .. math::
        \alpha_{ij} &= \frac{\exp s_{ij}}{1 + \sum_i \exp s_{ij}}, \quad
            s_{ij} = q_j^\top k_i / \sqrt d, \quad \text{same class masked out} \\
        h_j &\leftarrow N(h_j + W_o \textstyle\sum_i \alpha_{ij} v_i) \\
        h_i &\leftarrow N(h_i + \textstyle\sum_j \mathrm{GELU}(W_{e \to n} e_{ij} + b)) \\
        h_j &\leftarrow N(h_j + W_2 \mathrm{GELU}(W_1 h_j)) \\
        e_{ij} &\leftarrow N(\mathrm{attention}(e_{ij}, \{u_i, u_j\}) + e_{ij}), \quad
            u_i = \mathrm{GELU}(W_{n \to e} h_i + b) \\
        e_{ij} &\leftarrow N(\mathrm{FFN}(e_{ij}) + e_{ij})

    Attention goes from i to j. The edges are summed by their first node, as in the published code,
    so node i sums those that it sends; this differs from the ones that it receives once
    :math:`e_{ij} \ne e_{ji}`, that is after independent dropout.

    The two updates are message-passing modules of their own: `nodes` (`NodeUpdate`) and `edges`
    (`EdgeUpdate`). `forward` is the reference for any graph. `pair_nodes` and `pair_edges` compute
    the same on a complete batch graph, once per unordered pair, with the same parameters.

    Args:
        in_channels: Node channels in and out; divisible by `heads`.
        edge_dim: Edge channels in and out; divisible by `edge_heads`.
        heads: Heads of the node attention.
        edge_heads: Heads of the edge attention; the published code always has 1.
        dropout: Probability of dropping an endpoint's weight in the edge attention.
        edge_dropout: `"tied"`: (i, j) and (j, i) share a dropout mask, which keeps edges symmetric;
            `"independent"`: one mask each, as published; `"off"`: no dropout.
        memory: What the dense path saves for backward (`gcahng.graph.dense.memory`).

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

    nodes: NodeUpdate | None
    edges: EdgeUpdate | None

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
        super().__init__()
        self.nodes = NodeUpdate(in_channels, edge_dim, heads, memory)
        self.edges = EdgeUpdate(in_channels, edge_dim, edge_heads, dropout, edge_dropout, memory)
        self.in_channels, self.edge_dim = in_channels, edge_dim
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


class GCANodeOnlyConv(GCAConv):
    r"""Update the nodes as `GCAConv` does and leave the edges unchanged.

    Args:
        in_channels: Node channels in and out; divisible by `heads`.
        edge_dim: Edge channels.
        heads: Heads of the node attention.
        memory: What the dense path saves for backward (`gcahng.graph.dense.memory`).

    Shapes: as `GCAConv`.
    """

    def __init__(
        self, in_channels: int, edge_dim: int, heads: int = 4, memory: Memory = "auto"
    ) -> None:
        nn.Module.__init__(self)
        self.nodes, self.edges = NodeUpdate(in_channels, edge_dim, heads, memory), None
        self.in_channels, self.edge_dim = in_channels, edge_dim
        self.reset_parameters()


class GCAEdgeOnlyConv(GCAConv):
    r"""Update the edges as `GCAConv` does and leave the nodes unchanged.

    Args:
        in_channels: Node channels.
        edge_dim: Edge channels in and out; divisible by `edge_heads`.
        edge_heads: Heads of the edge attention.
        dropout: Probability of dropping an endpoint's weight in the edge attention.
        edge_dropout: As in `GCAConv`: "tied", "independent" or "off".
        memory: What the dense path saves for backward (`gcahng.graph.dense.memory`).

    Shapes: as `GCAConv`; y is ignored.
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
        nn.Module.__init__(self)
        self.nodes = None
        self.edges = EdgeUpdate(in_channels, edge_dim, edge_heads, dropout, edge_dropout, memory)
        self.in_channels, self.edge_dim = in_channels, edge_dim
        self.reset_parameters()
