"""What a network has learned, on the edges of the graph it saw."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv

from gcahng.graph import CorrelationNetwork, batch_graph
from gcahng.graph.visualize import edge_weights, learned_graph
from tests.graph.visualize.conftest import HEADS

LABELS = torch.tensor([3, 1, 2]).repeat(3)


def batch() -> Data:
    torch.manual_seed(3)
    return batch_graph(torch.randn(9, 8), LABELS)


def network(*layers: str) -> CorrelationNetwork:
    torch.manual_seed(4)
    return CorrelationNetwork(8, 5, list(layers), heads=2, edge_heads=2)


def test_coefficients_and_attention_are_the_networks() -> None:
    net, graph = network("gca", "gca"), batch()
    net(graph)  # moves the running means, so that the modes differ
    net.train()
    learned = learned_graph(net, graph)
    assert net.training
    assert graph.get("coefficients") is None, "the graph itself is left as it was"
    net.eval()
    expected = net(graph)
    assert torch.equal(learned.coefficients.view(9, 9, 8), expected.coefficients)
    x = net.projection(graph.x)
    assert torch.equal(
        learned.attention[0], net.layers[0].nodes.attention(x, graph.edge_index, graph.y)
    )
    x, _ = net.layers[0](x, graph.edge_index, graph.edge_attr, graph.y)
    assert torch.equal(
        learned.attention[1], net.layers[1].nodes.attention(x, graph.edge_index, graph.y)
    )
    assert not learned.coefficients.requires_grad


@pytest.mark.parametrize("conv", ["gca_node_only", "gat", "gatv2", "transformer"])
def test_layers_with_attention(conv: str) -> None:
    learned = learned_graph(network(conv), batch())
    weights, _ = edge_weights(learned, 1)
    assert learned.attention[0].shape == (81, 2)
    # "Attend to nothing" takes a part of each node's attention in ours.
    assert (weights.sum(0) <= 1 + 1e-5).all()
    assert (weights >= 0).all()


@pytest.mark.parametrize("conv", ["gca_edge_only", "mlp", "none", "gine"])
def test_layers_without(conv: str) -> None:
    learned = learned_graph(network("gca", conv), batch())
    assert learned.attention[0] is not None
    assert learned.attention[1] is None
    with pytest.raises(ValueError, match="layer 2 has none"):
        edge_weights(learned, 2)


class Own(nn.Module):
    """A user's layer around one of PyG's, which puts self loops at the end, or turns edges."""

    def __init__(self, **args: Any) -> None:
        super().__init__()
        self.gat = GATConv(8, 4, heads=2, **args)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self.gat(x, edge_index), edge_attr


@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
def test_attention_is_put_where_its_messages_pass(flow: str) -> None:
    torch.manual_seed(5)
    net, graph = network("gca", "gca"), batch()
    net.layers[0] = own = Own(flow=flow)
    found = learned_graph(net, graph).attention[0].view(9, 9, 2)
    x = net.projection(graph.x)
    # Self loops are needed to get the weights apart: PyG returns the edges that it used.
    _, (edges, alpha) = own.gat(x, graph.edge_index, return_attention_weights=True)
    sender, receiver = edges if flow == "source_to_target" else edges.flip(0)
    for i, j, weights in zip(sender.tolist(), receiver.tolist(), alpha, strict=True):
        torch.testing.assert_close(found[i, j], weights.detach())
    torch.testing.assert_close(found.sum(0), torch.ones(9, 2))


def test_weights_and_what_they_are_called(graph: Data) -> None:
    size = graph.x.size(0)
    coefficients, name = edge_weights(graph)
    assert name == "mean channel coefficient"
    assert coefficients[2, 5] == graph.coefficients[2 * size + 5].mean()
    attention, name = edge_weights(graph, layer=2, head=3)
    assert name == "attention of layer 2, head 3"
    assert attention[2, 5] == graph.attention[1][2 * size + 5, 2]
    mean, _ = edge_weights(graph, layer=1)
    assert torch.allclose(mean, sum(edge_weights(graph, 1, h + 1)[0] for h in range(HEADS)) / HEADS)
    plain = batch()
    correlation, name = edge_weights(plain)
    assert name == "Pearson correlation of the embeddings"
    assert torch.allclose(correlation, torch.corrcoef(plain.x), atol=1e-5)


def test_mistakes(graph: Data) -> None:
    with pytest.raises(ValueError, match=r"'layer' between 1 and 2 \(got 3\)"):
        edge_weights(graph, layer=3)
    with pytest.raises(ValueError, match=r"'head' between 1 and 4 \(got 0\)"):
        edge_weights(graph, layer=1, head=0)
    with pytest.raises(ValueError, match="a 'layer' for 'head' 2"):
        edge_weights(graph, head=2)
    with pytest.raises(ValueError, match="'edge_index'"):
        learned_graph(network("gca"), Data(x=torch.zeros(2, 8), y=torch.tensor([0, 1])))
