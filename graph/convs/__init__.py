"""Message-passing layers with the contract (x, edge_index, edge_attr, y) → (x, edge_attr)."""

from typing import Any

from torch import nn

from graph.convs.gca_conv import GCAConv

CONVS: dict[str, type[nn.Module]] = {"gca": GCAConv}


def build_conv(name: str, in_channels: int, edge_dim: int, **args: Any) -> nn.Module:
    """Make the layer called `name`.

    Raises:
        ValueError: If there is no such layer; the message lists the choices.
    """
    if name not in CONVS:
        raise ValueError(f"unknown layer {name!r}; choose from: {', '.join(sorted(CONVS))}")
    return CONVS[name](in_channels, edge_dim, **args)


__all__ = ["CONVS", "GCAConv", "build_conv"]
