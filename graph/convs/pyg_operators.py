"""The stock operators of PyTorch Geometric that fit a complete graph with edge features.

Left out: operators for node or edge types (`RGATConv`, `HEATConv`), for positions (`PointNetConv`,
`GMMConv`), with weights per degree (`MFConv`), with extra losses or inputs (`SuperGATConv`,
`FAConv`), for several hops (`TAGConv`, `ChebConv`; a complete graph has one), and `NNConv`, which
needs a weight matrix per edge.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

# Name of the layer → class in `torch_geometric.nn`, which is imported when one is built.
OPERATORS = {
    "cg": "CGConv",
    "film": "FiLMConv",
    "gat": "GATConv",
    "gatv2": "GATv2Conv",
    "gcn": "GCNConv",
    "gen": "GENConv",
    "general": "GeneralConv",
    "gine": "GINEConv",
    "graph": "GraphConv",
    "pdn": "PDNConv",
    "pna": "PNAConv",
    "res_gated": "ResGatedGraphConv",
    "sage": "SAGEConv",
    "transformer": "TransformerConv",
}


def _cg(
    in_channels: int, out_channels: int, edge_dim: int, batch_norm: bool = False
) -> "nn.Module":
    from torch_geometric import nn as pyg

    return pyg.CGConv(in_channels, edge_dim, batch_norm=batch_norm)


def _general(
    in_channels: int,
    out_channels: int,
    edge_dim: int,
    heads: int = 1,
    attention: bool = True,
    attention_type: str = "additive",
    aggr: str = "add",
) -> "nn.Module":
    """Attention is on by default: averaged heads would be redundant without it."""
    from torch_geometric import nn as pyg

    return pyg.GeneralConv(
        in_channels,
        out_channels,
        edge_dim,
        aggr=aggr,
        heads=heads,
        attention=attention,
        attention_type=attention_type,
    )


def _gine(
    in_channels: int, out_channels: int, edge_dim: int, eps: float = 0.0, train_eps: bool = False
) -> "nn.Module":
    from torch_geometric import nn as pyg

    from gcahng.graph.convs.parts import feed_forward

    return pyg.GINEConv(feed_forward(in_channels), eps, train_eps, edge_dim)


def _pdn(
    in_channels: int, out_channels: int, edge_dim: int, hidden_channels: int = 64
) -> "nn.Module":
    from torch_geometric import nn as pyg

    return pyg.PDNConv(in_channels, out_channels, edge_dim, hidden_channels, add_self_loops=False)


def _pna(
    in_channels: int,
    out_channels: int,
    edge_dim: int,
    aggregators: Sequence[str] = ("mean", "min", "max", "std"),
    towers: int = 1,
) -> "nn.Module":
    """Without degree scalers, which are constants on a complete graph."""
    import torch
    from torch_geometric import nn as pyg

    no_histogram = torch.ones(1)
    return pyg.PNAConv(
        in_channels,
        out_channels,
        list(aggregators),
        ["identity"],
        no_histogram,
        edge_dim,
        towers=towers,
    )


_MAKERS: "dict[str, Callable[..., nn.Module]]" = {
    "cg": _cg,
    "general": _general,
    "gine": _gine,
    "pdn": _pdn,
    "pna": _pna,
}


def operator_maker(name: str) -> "Callable[..., nn.Module]":
    """Return what makes an operator from its channels in and out, and other arguments."""
    from torch_geometric import nn as pyg

    made: Callable[..., nn.Module] = _MAKERS.get(name) or getattr(pyg, OPERATORS[name])
    return made
