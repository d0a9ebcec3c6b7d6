import pytest
import torch

from gcahng.graph import CorrelationNetwork
from gcahng.graph.convs import GCAConv, GCAEdgeOnlyConv
from tests.graph import oracle
from tests.graph.convs.samples import CHANNELS, EDGE_DIM, LABELS, complete, moved, sparse


def make(**args: object) -> GCAEdgeOnlyConv:
    torch.manual_seed(0)
    return moved(GCAEdgeOnlyConv(CHANNELS, EDGE_DIM, **{"edge_dropout": "off", **args}))


@pytest.mark.parametrize("edge_heads", [1, 3])
@pytest.mark.parametrize("graph", [complete, sparse])
def test_equals_the_loop(edge_heads: int, graph: object) -> None:
    conv, (x, edge_index, edges) = make(edge_heads=edge_heads), graph()
    nodes, out = conv(x, edge_index, edges, LABELS)
    expected = oracle.edge_update(conv, x, edge_index, edges)
    oracle.assert_near("edges", out, expected, 1e-12)
    assert torch.equal(nodes, x)


def test_is_the_edge_half_of_the_whole_layer() -> None:
    whole, half = moved(GCAConv(CHANNELS, EDGE_DIM, heads=2, edge_dropout="off")), make()
    answer = half.load_state_dict(whole.state_dict(), strict=False)
    assert answer.missing_keys == []
    x, edge_index, edges = complete()
    nodes, expected = whole(x, edge_index, edges, LABELS)
    assert torch.equal(half(nodes, edge_index, edges)[1], expected)


def test_repr() -> None:
    assert repr(GCAEdgeOnlyConv(8, 6, edge_heads=3)) == (
        "GCAEdgeOnlyConv(8, edge_dim=6, edge_heads=3)"
    )


def test_initial_weights() -> None:
    conv = GCAEdgeOnlyConv(64, 64)
    for linear in (conv.edge_query, conv.edge_key, conv.edge_value):
        bound = (6 / 128) ** 0.5
        assert linear.bias.eq(0).all()
        assert 0.95 * bound < linear.weight.abs().max() <= bound


@pytest.mark.parametrize("edge_dropout", ["tied", "independent"])
def test_independent_dropout_makes_edges_asymmetric(edge_dropout: str) -> None:
    args = {"conv": "gca_edge_only", "dropout": 0.5, "edge_dropout": edge_dropout}
    net = CorrelationNetwork(CHANNELS, 3, 1, **args)
    eta = net(net.build_graph(torch.randn(6, CHANNELS), LABELS)).channel_coefficients
    assert torch.equal(eta, eta.transpose(0, 1)) == (edge_dropout == "tied")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"edge_heads": 4}, r"'edge_dim' divisible by 4 heads \(got 6\)"),
        ({"edge_dropout": "some"}, "tied, independent or off .*'some'"),
        ({"memory": "lwo"}, r"'memory' as auto, balanced or low \(got 'lwo'\)"),
    ],
)
def test_refuses_wrong_settings(args: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GCAEdgeOnlyConv(8, 6, **args)
