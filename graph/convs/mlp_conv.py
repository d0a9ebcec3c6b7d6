"""Control layers without message passing: feed-forward networks only, and nothing at all."""

from torch import Tensor, nn
from torch.nn import functional as F

from gcahng.graph.convs.gca_conv import ComposedConv
from gcahng.graph.convs.parts import feed_forward, reset_maps
from gcahng.graph.dense.pairs import Pairs


class MLPConv(nn.Module):
    r"""Update each node and edge from its own features, with the feed-forward parts of `GCAConv`.

    .. math::
        h_j &\leftarrow N(h_j + W_2 \mathrm{GELU}(W_1 h_j)) \\
        e_{ij} &\leftarrow N(\mathrm{FFN}(e_{ij}) + e_{ij})

    with :math:`N(\cdot) = \mathrm{LayerNorm}(\mathrm{GELU}(\cdot))`: the layer without any exchange
    between nodes and edges.

    Shapes: as `GCAConv`; edge_index and y are ignored.
    """

    def __init__(self, in_channels: int, edge_dim: int) -> None:
        super().__init__()
        self.in_channels, self.edge_dim = in_channels, edge_dim
        self.node_ffn = feed_forward(in_channels)
        self.node_norm = nn.LayerNorm(in_channels)
        self.edge_ffn = feed_forward(edge_dim, inner_norm=True)
        self.edge_norm = nn.LayerNorm(edge_dim)

    def reset_parameters(self) -> None:
        """Reset to PyTorch's defaults."""
        reset_maps(self)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the layer on any graph."""
        return self.update_nodes(x), self.update_edges(edge_attr)

    def update_nodes(self, x: Tensor) -> Tensor:
        """Apply the residual node update."""
        return self.node_norm(F.gelu(x + self.node_ffn(x)))

    def update_edges(self, edge_attr: Tensor) -> Tensor:
        """Apply the residual edge update, to directed edges or pairs."""
        return self.edge_norm(F.gelu(self.edge_ffn(edge_attr) + edge_attr))

    def pair_nodes(self, x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor) -> Tensor:
        """Update the nodes of a complete graph: x [B, C] → [B, C]."""
        return self.update_nodes(x)

    def pair_edges(self, x: Tensor, pairs: Pairs, edge_attr: Tensor) -> tuple[Tensor, Pairs]:
        """Update the edges of a complete graph by rows: edge_attr [M, D] → [M, D]."""
        return self.update_edges(edge_attr), pairs

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.in_channels}, edge_dim={self.edge_dim})"


class NoneConv(ComposedConv):
    """Return nodes and edges unchanged, so that coefficients depend on the initial edges only."""

    def __init__(self, in_channels: int, edge_dim: int) -> None:
        super().__init__(in_channels, edge_dim, None, None)
