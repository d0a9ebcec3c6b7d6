import torch

from gcahng.graph import CorrelationNetwork, batch_graph
from gcahng.graph.convs import NoneConv
from tests.graph.convs.samples import LABELS, complete


def test_leaves_nodes_and_edges() -> None:
    x, edge_index, edges = complete()
    out = NoneConv(4, 6)(x, edge_index, edges, LABELS)
    assert torch.equal(out[0], x)
    assert torch.equal(out[1], edges)


def test_is_a_network_without_layers() -> None:
    torch.manual_seed(0)
    net, z = CorrelationNetwork(8, 3, ["none", "none"]), torch.randn(6, 8)
    empty = CorrelationNetwork(8, 3, 0)
    empty.load_state_dict(net.state_dict())
    ours, expected = net(batch_graph(z, LABELS)), empty(batch_graph(z, LABELS))
    assert torch.equal(ours.coefficients, expected.coefficients)
    assert torch.equal(ours.node_logits, expected.node_logits)
