"""The identity layer."""

from torch import Tensor, nn

from gcahng.graph.dense.pairs import Pairs


class NoneConv(nn.Module):
    """Return nodes and edges unchanged, so that coefficients depend on the initial edges only.

    Args:
        in_channels: Node channels.
        edge_dim: Edge channels.

    Shapes:
        - **input:** x [N, in_channels], edge_index [2, E], edge_attr [E, edge_dim], y [N] class
          labels or None.
        - **output:** x [N, in_channels], edge_attr [E, edge_dim].
    """

    def __init__(self, in_channels: int, edge_dim: int) -> None:
        super().__init__()
        self.in_channels, self.edge_dim = in_channels, edge_dim

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return nodes and edges unchanged."""
        return x, edge_attr

    def pair_nodes(self, x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor) -> Tensor:
        """Return the nodes unchanged."""
        return x

    def pair_edges(self, x: Tensor, pairs: Pairs, edge_attr: Tensor) -> tuple[Tensor, Pairs]:
        """Return the edges unchanged."""
        return edge_attr, pairs

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.in_channels}, edge_dim={self.edge_dim})"
