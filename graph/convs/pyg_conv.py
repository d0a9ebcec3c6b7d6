"""Stock operators of PyTorch Geometric as layers: the operator alone differs between them."""

import inspect
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from gcahng.graph.convs.gca_edge_only_conv import EdgeDropout, GCAEdgeOnlyConv
from gcahng.graph.convs.parts import check_divisible
from gcahng.graph.convs.pyg_operators import OPERATORS
from gcahng.graph.dense.memory import Memory
from gcahng.graph.dense.pairs import Pairs, complete_edges


class PyGConv(nn.Module):
    r"""Update nodes by a stock operator, then edges by the edge half of `GCAConv`.

    .. math::
        h &\leftarrow N(h + \mathrm{operator}(h, e)) \\
        e_{ij} &\leftarrow N(\mathrm{attention}(e_{ij}, \{u_i, u_j\}) + e_{ij}), \quad
            u_i = \mathrm{GELU}(W_{n \to e} h_i + b) \\
        e_{ij} &\leftarrow N(\mathrm{FFN}(e_{ij}) + e_{ij})

    with :math:`N(\cdot) = \mathrm{LayerNorm}(\mathrm{GELU}(\cdot))`. Edge features reach the
    operators that take vectors of them: `cg`, `gat`, `gatv2`, `gen`, `general`, `gine`, `pdn`,
    `pna`, `res_gated` and `transformer`; `film`, `gcn`, `graph` and `sage` see nodes alone (on a
    complete graph `gcn` sends every node the same mean). Self loops are in the batch graph, so no
    operator adds any. Labels are of no effect.

    Args:
        operator: A key of `OPERATORS`.
        in_channels: Node channels, kept by the layer; divisible by `heads` if these are
            concatenated (`gat`, `gatv2`, `transformer`).
        edge_dim: Edge channels, kept by the layer; divisible by `edge_heads`.
        edge_heads: Heads of the edge attention.
        dropout: Probability of dropping an endpoint's weight in the edge attention.
        edge_dropout: As in `GCAConv`: "tied", "independent" or "off".
        memory: What the dense path saves of the edge half for backward (`gcahng.graph.dense`).
        **args: The operator's own arguments (`operator_arguments`), such as `heads`.

    Shapes:
        - **input:** x [N, in_channels], edge_index [2, E] (from row 0 to row 1),
          edge_attr [E, edge_dim], y [N] class labels or None.
        - **output:** x [N, in_channels], edge_attr [E, edge_dim].
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
        make = OPERATORS[operator]
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
        """Each part's own start."""
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
        """The residual node update."""
        args = {"edge_attr": edge_attr} if self.takes_edges else {}
        return self.norm(F.gelu(x + self.operator(x, edge_index, **args)))

    @property
    def runs_on_pairs(self) -> bool:
        """Whether edges stay symmetric in the present mode, as the dense path needs."""
        return self.edge_half.runs_on_pairs

    def pair_nodes(self, x: Tensor, pairs: Pairs, edge_attr: Tensor, y: Tensor) -> Tensor:
        """Nodes from all B² directed edges, which is what an operator takes: x → x."""
        edge_index = complete_edges(pairs.num_nodes, x.device)
        edges = pairs.to_dense(edge_attr).flatten(0, 1) if self.takes_edges else edge_attr
        return self.update_nodes(x, edge_index, edges)

    def pair_edges(self, x: Tensor, pairs: Pairs, edge_attr: Tensor) -> Tensor:
        """Edge half of the layer on all pairs i ≤ j: edge_attr → edge_attr."""
        return self.edge_half.pair_edges(x, pairs, edge_attr)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.operator}, {self.edge_half})"


def operator_arguments(operator: str) -> list[str]:
    """Names of what the layer of a stock operator takes beside its widths."""
    of_layer = list(inspect.signature(PyGConv).parameters)[1:-1]
    of_operator = list(inspect.signature(OPERATORS[operator]).parameters)
    # A cache would keep the graph of the first batch.
    set_here = (*of_layer, "out_channels", "concat", "add_self_loops", "cached", "kwargs")
    return [*of_layer[2:], *(name for name in of_operator if name not in set_here)]
