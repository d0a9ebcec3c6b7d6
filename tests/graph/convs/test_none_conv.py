import torch

from gcahng.graph.convs import NoneConv
from tests.graph.convs.samples import LABELS, complete


def test_leaves_nodes_and_edges() -> None:
    x, edge_index, edges = complete()
    out = NoneConv(4, 6)(x, edge_index, edges, LABELS)
    assert torch.equal(out[0], x)
    assert torch.equal(out[1], edges)
