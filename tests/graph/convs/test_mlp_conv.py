import pytest
import torch

from gcahng.graph.convs import GCAConv, MLPConv
from tests.graph import oracle
from tests.graph.convs.samples import CHANNELS, EDGE_DIM, LABELS, complete, moved, sparse


def make() -> MLPConv:
    torch.manual_seed(0)
    return moved(MLPConv(CHANNELS, EDGE_DIM))


@pytest.mark.parametrize("graph", [complete, sparse])
def test_equals_the_loop(graph: object) -> None:
    conv, (x, edge_index, edges) = make(), graph()
    out = conv(x, edge_index, edges, LABELS)
    nodes = torch.stack([oracle.node_feed_forward(conv, h) for h in x])
    oracle.assert_near("nodes", out[0], nodes, 1e-12)
    expected = torch.stack([oracle.edge_feed_forward(conv, e) for e in edges])
    oracle.assert_near("edges", out[1], expected, 1e-12)


def test_nothing_passes_between_nodes_and_edges() -> None:
    conv, (x, edge_index, edges) = make(), complete()
    before = conv(x, edge_index, edges)
    x[0], edges[0] = x[0] + 1, edges[0] + 1
    for ours, other in zip(conv(x, edge_index, edges), before, strict=True):
        assert (ours != other).any(dim=1).tolist() == [True] + [False] * (len(ours) - 1)


def test_has_the_feed_forward_parameters_of_the_whole_layer() -> None:
    ours, whole = MLPConv(8, 6).state_dict(), GCAConv(8, 6).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {
        key: value.shape
        for key, value in whole.items()
        if key.startswith(("node_ffn", "node_norm", "edge_ffn", "edge_norm"))
    }


def test_repr() -> None:
    assert repr(MLPConv(8, 6)) == "MLPConv(8, edge_dim=6)"
