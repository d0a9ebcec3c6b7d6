import pytest
import torch
from torch.nn import functional as F
from torch_geometric import nn as pyg

from gcahng.graph.convs import OPERATORS
from gcahng.graph.convs.parts import feed_forward
from gcahng.graph.convs.pyg_conv import PyGConv, operator_arguments
from tests.graph import oracle
from tests.graph.convs.samples import CHANNELS, EDGE_DIM, LABELS, complete, moved, sparse

BY_HAND = {
    "cg": lambda: pyg.CGConv(4, 6),
    "film": lambda: pyg.FiLMConv(4, 4),
    "gat": lambda: pyg.GATConv(4, 2, heads=2, edge_dim=6, add_self_loops=False),
    "gatv2": lambda: pyg.GATv2Conv(4, 2, heads=2, edge_dim=6, add_self_loops=False),
    "gcn": lambda: pyg.GCNConv(4, 4, add_self_loops=False),
    "gen": lambda: pyg.GENConv(4, 4, edge_dim=6),
    "general": lambda: pyg.GeneralConv(4, 4, 6, heads=2, attention=True),
    "gine": lambda: pyg.GINEConv(feed_forward(4), edge_dim=6),
    "graph": lambda: pyg.GraphConv(4, 4),
    "pdn": lambda: pyg.PDNConv(4, 4, 6, 64, add_self_loops=False),
    "pna": lambda: pyg.PNAConv(
        4, 4, ["mean", "min", "max", "std"], ["identity"], torch.tensor([0, 0, 5]), 6
    ),
    "res_gated": lambda: pyg.ResGatedGraphConv(4, 4, edge_dim=6),
    "sage": lambda: pyg.SAGEConv(4, 4),
    "transformer": lambda: pyg.TransformerConv(4, 2, heads=2, edge_dim=6),
}
NODES_ALONE = ("film", "gcn", "graph", "sage")
CONCATENATED = ("gat", "gatv2", "transformer")


def make(name: str, **args: object) -> PyGConv:
    torch.manual_seed(0)
    heads = {"heads": 2} if "heads" in operator_arguments(OPERATORS[name]) else {}
    return moved(PyGConv(OPERATORS[name], CHANNELS, EDGE_DIM, edge_dropout="off", **heads, **args))


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("graph", [complete, sparse])
def test_equals_the_operator_by_hand(name: str, graph: object) -> None:
    conv, (x, edge_index, edges) = make(name), graph()
    operator = BY_HAND[name]().double()
    operator.load_state_dict(
        {
            key: operator.state_dict()[key] if "avg_deg" in key else value
            for key, value in conv.operator.state_dict().items()
        }
    )
    seen = () if name in NODES_ALONE else (edges,)
    nodes = conv.norm(F.gelu(x + operator(x, edge_index, *seen)))
    expected = oracle.edge_update(conv.edge_half.edges, nodes, edge_index, edges)
    out = conv(x, edge_index, edges, LABELS)
    oracle.assert_near("nodes", out[0], nodes, 1e-13)
    oracle.assert_near("edges", out[1], expected, 1e-12)


@pytest.mark.parametrize("name", OPERATORS)
def test_own_arguments_leave_out_what_the_adapter_sets(name: str) -> None:
    found = operator_arguments(OPERATORS[name])
    assert found[:4] == ["edge_heads", "dropout", "edge_dropout", "memory"]
    ours = {"in_channels", "out_channels", "edge_dim", "add_self_loops", "concat", "kwargs"}
    assert not ours & set(found)
    assert len(found) == len(set(found))
    assert ("heads" in found) == (name in (*CONCATENATED, "general"))


def test_own_arguments_reach_the_operator() -> None:
    assert make("gatv2", share_weights=True).operator.share_weights
    assert make("pna", towers=2, aggregators=["mean", "max"]).operator.towers == 2
    assert not make("general", attention=False).operator.attention
