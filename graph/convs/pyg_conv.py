"""Layers around the stock operators of PyTorch Geometric; they differ in the operator only."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric import nn as pyg

from gcahng.graph.convs.gca_conv import EdgeDropout, GCAEdgeOnlyConv
from gcahng.graph.convs.parts import check_divisible, feed_forward
from gcahng.graph.dense.pairs import Memory, Pairs, complete_edges


def _cg(in_channels: int, out_channels: int, edge_dim: int, batch_norm: bool = False) -> nn.Module:
    return pyg.CGConv(in_channels, edge_dim, batch_norm=batch_norm)


def _general(
    in_channels: int,
    out_channels: int,
    edge_dim: int,
    heads: int = 1,
    attention: bool = True,
    attention_type: str = "additive",
    aggr: str = "add",
) -> nn.Module:
    """Attention is on by default: averaged heads would be redundant without it."""
    options = {"attention": attention, "attention_type": attention_type}
    return pyg.GeneralConv(in_channels, out_channels, edge_dim, aggr=aggr, heads=heads, **options)


def _gine(
    in_channels: int, out_channels: int, edge_dim: int, eps: float = 0.0, train_eps: bool = False
) -> nn.Module:
    return pyg.GINEConv(feed_forward(in_channels), eps, train_eps, edge_dim)


_MAKERS: dict[str, Callable[..., nn.Module]] = {
    "CGConv": _cg,
    "GINEConv": _gine,
    "GeneralConv": _general,
    "PDNConv": partial(pyg.PDNConv, hidden_channels=64),
    # Without degree scalers, which are constants on a complete graph; the histogram is unused.
    "PNAConv": partial(
        pyg.PNAConv,
        aggregators=("mean", "min", "max", "std"),
        scalers=["identity"],
        deg=torch.ones(1),
    ),
}


def _maker(operator: str) -> Callable[..., nn.Module]:
    """Return what makes an operator from its channels in and out, and other arguments."""
    made: Callable[..., nn.Module] = _MAKERS.get(operator) or getattr(pyg, operator)
    return made


class PyGConv(nn.Module):
    r"""Update nodes with a stock operator, then edges with the edge update of `GCAConv`.

    .. math::
        h &\leftarrow N(h + \mathrm{operator}(h, e)) \\
        e_{ij} &\leftarrow N(\mathrm{attention}(e_{ij}, \{u_i, u_j\}) + e_{ij}), \quad
            u_i = \mathrm{GELU}(W_{n \to e} h_i + b) \\
        e_{ij} &\leftarrow N(\mathrm{FFN}(e_{ij}) + e_{ij})

    with :math:`N(\cdot) = \mathrm{LayerNorm}(\mathrm{GELU}(\cdot))`. `cg`, `gat`, `gatv2`, `gen`,
    `general`, `gine`, `pdn`, `pna`, `res_gated` and `transformer` use the edge features; `film`,
    `gcn`, `graph` and `sage` use nodes only (on a complete graph `gcn` sends every node the same
    mean). The batch graph has self loops, so no operator adds them.

    Args:
        operator: The name of a class in `torch_geometric.nn`, such as `GATConv`.
        in_channels: Node channels in and out; divisible by `heads` where these are concatenated
            (`gat`, `gatv2`, `transformer`).
        edge_dim: Edge channels in and out; divisible by `edge_heads`.
        edge_heads: Heads of the edge attention.
        dropout: As in `GCAConv`; likewise `edge_dropout` and `memory`.
        **args: The operator's own arguments (`operator_arguments`), such as `heads`.

    Shapes: as `GCAConv`; y is ignored.
    """

    def __init__(
        self,
        operator: str,
        in_channels: int,
        edge_dim: int,
        edge_heads: int = 1,
        dropout: float = 0.1,
        edge_dropout: EdgeDropout = "tied",
        memory: Memory = "auto",
        **args: Any,
    ) -> None:
        super().__init__()
        make = _maker(operator)
        takes = inspect.signature(make).parameters
        out_channels = in_channels
        if "concat" in takes:
            heads = args.get("heads", 1)
            check_divisible("in_channels", in_channels, heads)
            out_channels = in_channels // heads
        set_here = {"edge_dim": edge_dim, "add_self_loops": False}
        args |= {name: value for name, value in set_here.items() if name in takes}
        self.takes_edges = "edge_dim" in takes
        self.operator = make(in_channels, out_channels, **args)
        self.norm = nn.LayerNorm(in_channels)
        self.edge_half = GCAEdgeOnlyConv(
            in_channels, edge_dim, edge_heads, dropout, edge_dropout, memory
        )

    def reset_parameters(self) -> None:
        """Reset each part to its own defaults."""
        part: Any
        for part in self.children():
            part.reset_parameters()

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the layer on any graph."""
        x = self.update_nodes(x, edge_index, edge_attr)
        return self.edge_half(x, edge_index, edge_attr)

    def update_nodes(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Apply the residual node update."""
        args = {"edge_attr": edge_attr} if self.takes_edges else {}
        return self.norm(F.gelu(x + self.operator(x, edge_index, **args)))

    @property
    def separates_pairs(self) -> bool:
        """True if edges (i, j) and (j, i) may become different in the current mode."""
        return self.edge_half.separates_pairs

    def pair_nodes(self, x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor) -> Tensor:
        """Update the nodes from all B² directed edges, as operators require: x [B, C] → [B, C]."""
        edge_index = complete_edges(pairs.num_nodes, x.device)
        edges = pairs.to_dense(edge_attr).flatten(0, 1) if self.takes_edges else edge_attr
        return self.update_nodes(x, edge_index, edges)

    def pair_edges(self, x: Tensor, pairs: Pairs, edge_attr: Tensor) -> tuple[Tensor, Pairs]:
        """Update the edges of a complete graph, as `EdgeUpdate`."""
        return self.edge_half.pair_edges(x, pairs, edge_attr)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.operator}, {self.edge_half})"


def operator_arguments(operator: str) -> list[str]:
    """Names of the arguments of an operator's layer after its two widths."""
    of_layer = list(inspect.signature(PyGConv).parameters)[1:-1]
    of_operator = list(inspect.signature(_maker(operator)).parameters)
    # `cached` would reuse the graph of the first batch.
    set_here = {*of_layer, "out_channels", "concat", "add_self_loops", "cached", "kwargs"}
    set_here |= {"scalers", "deg"}
    return [*of_layer[2:], *(name for name in of_operator if name not in set_here)]
