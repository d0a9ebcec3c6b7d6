"""The identity layer."""

from torch import nn

from gcahng.graph.convs.gca_conv import GCAConv


class NoneConv(GCAConv):
    """Return nodes and edges unchanged, so that coefficients depend on the initial edges only.

    Args:
        in_channels: Node channels.
        edge_dim: Edge channels.

    Shapes: as `GCAConv`; edge_index and y are ignored.
    """

    def __init__(self, in_channels: int, edge_dim: int) -> None:
        nn.Module.__init__(self)
        self.nodes = self.edges = None
        self.in_channels, self.edge_dim = in_channels, edge_dim
