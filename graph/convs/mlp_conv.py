"""The control without messages: feed-forward networks alone."""

from torch import Tensor, nn
from torch.nn import functional as F

from gcahng.graph.convs.parts import feed_forward, reset_maps
from gcahng.graph.dense.pairs import Pairs


class MLPConv(nn.Module):
    r"""Update each node and each edge from itself alone, by the feed-forward parts of `GCAConv`.

    .. math::
        h_j &\leftarrow N(h_j + W_2 \mathrm{GELU}(W_1 h_j)) \\
        e_{ij} &\leftarrow N(\mathrm{FFN}(e_{ij}) + e_{ij})

    with :math:`N(\cdot) = \mathrm{LayerNorm}(\mathrm{GELU}(\cdot))`: what is left of that layer
    where nothing passes between nodes and edges.

    Args:
        in_channels: Node channels, kept by the layer.
        edge_dim: Edge channels, kept by the layer.

    Shapes:
        - **input:** x [N, in_channels], edge_index [2, E], edge_attr [E, edge_dim], y [N] class
          labels or None; edge_index and y are of no effect.
        - **output:** x [N, in_channels], edge_attr [E, edge_dim].
    """

    runs_on_pairs = True

    def __init__(self, in_channels: int, edge_dim: int) -> None:
        super().__init__()
        self.in_channels, self.edge_dim = in_channels, edge_dim
        self.node_ffn = feed_forward(in_channels)
        self.node_norm = nn.LayerNorm(in_channels)
        self.edge_ffn = feed_forward(edge_dim, inner_norm=True)
        self.edge_norm = nn.LayerNorm(edge_dim)

    def reset_parameters(self) -> None:
        """PyTorch's defaults."""
        reset_maps(self)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the layer on any graph."""
        return self.update_nodes(x), self.update_edges(edge_attr)

    def update_nodes(self, x: Tensor) -> Tensor:
        """The residual node update."""
        return self.node_norm(F.gelu(x + self.node_ffn(x)))

    def update_edges(self, edge_attr: Tensor) -> Tensor:
        """The residual edge update, of directed edges or of pairs."""
        return self.edge_norm(F.gelu(self.edge_ffn(edge_attr) + edge_attr))

    def pair_nodes(self, x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor) -> Tensor:
        """Node half of the layer on all pairs i ≤ j: x → x."""
        return self.update_nodes(x)

    def pair_edges(self, x: Tensor, pairs: Pairs, edge_attr: Tensor) -> Tensor:
        """Edge half of the layer on all pairs i ≤ j: edge_attr → edge_attr."""
        return self.update_edges(edge_attr)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.in_channels}, edge_dim={self.edge_dim})"
