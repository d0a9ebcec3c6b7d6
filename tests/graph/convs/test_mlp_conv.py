import pytest
import torch

from gcahng.graph.convs import MLPConv, NoneConv
from tests.graph import oracle
from tests.graph.convs.samples import CHANNELS, EDGE_DIM, LABELS, complete, moved, sparse


def make() -> MLPConv:
    torch.manual_seed(0)
    return moved(MLPConv(CHANNELS, EDGE_DIM))


@pytest.mark.parametrize("graph", [complete, sparse])
def test_equals_the_loop(graph: object) -> None:
    conv, (x, edge_index, edges) = make(), graph()
    out = conv(x, edge_index, edges, LABELS)
    nodes = torch.stack([oracle.node_feed_forward(conv.node_ffn, conv.node_norm, h) for h in x])
    oracle.assert_near("nodes", out[0], nodes, 1e-12)
    expected = torch.stack(
        [oracle.edge_feed_forward(conv.edge_ffn, conv.edge_norm, e) for e in edges]
    )
    oracle.assert_near("edges", out[1], expected, 1e-12)


def test_nothing_passes_between_nodes_and_edges() -> None:
    conv, (x, edge_index, edges) = make(), complete()
    before = conv(x, edge_index, edges)
    x[0], edges[0] = x[0] + 1, edges[0] + 1
    for ours, other in zip(conv(x, edge_index, edges), before, strict=True):
        assert (ours != other).any(dim=1).tolist() == [True] + [False] * (len(ours) - 1)


def test_none_leaves_nodes_and_edges() -> None:
    x, edge_index, edges = complete()
    out = NoneConv(4, 6)(x, edge_index, edges, LABELS)
    assert torch.equal(out[0], x)
    assert torch.equal(out[1], edges)
