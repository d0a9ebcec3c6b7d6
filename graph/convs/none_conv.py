"""The identity layer."""

from gcahng.graph.convs.gca_conv import ComposedConv


class NoneConv(ComposedConv):
    """Return nodes and edges unchanged, so that coefficients depend on the initial edges only."""

    def __init__(self, in_channels: int, edge_dim: int) -> None:
        super().__init__(in_channels, edge_dim, None, None)
