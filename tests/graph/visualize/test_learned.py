"""What a network has learned, on the edges of the graph it saw."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv

from gcahng.graph import CorrelationNetwork, batch_graph
from gcahng.graph.visualize import edge_weights, learned_graph
from gcahng.graph.visualize.learned import class_numbers, class_slots, class_titles, describe

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
    weights = learned.attention[0].mean(1).view(9, 9)
    assert learned.attention[0].shape == (81, 2)
    # "Attend to nothing" takes a part of each node's attention in ours.
    assert (weights.sum(0) <= 1 + 1e-5).all()
    assert (weights >= 0).all()


@pytest.mark.parametrize("conv", ["gca_edge_only", "mlp", "none", "gine"])
def test_layers_without(conv: str) -> None:
    learned = learned_graph(network("gca", conv), batch())
    assert learned.attention[0] is not None
    assert learned.attention[1] is None


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
    plain = batch()
    correlation, name = edge_weights(plain)
    assert name == "Pearson correlation of the embeddings"
    assert torch.allclose(correlation, torch.corrcoef(plain.x), atol=1e-5)


def test_a_graph_without_edges_is_refused() -> None:
    with pytest.raises(ValueError, match="'edge_index'"):
        learned_graph(network("gca"), Data(x=torch.zeros(2, 8), y=torch.tensor([0, 1])))


def graph_of(labels: list[int]) -> Data:
    torch.manual_seed(0)
    return batch_graph(torch.randn(len(labels), 4), torch.tensor(labels))


def test_classes_count_from_their_first_image() -> None:
    graph = graph_of([7, 3, 7, 9, 3])
    assert class_numbers(graph).tolist() == [0, 1, 0, 2, 1]
    assert class_titles(graph) == ["class 7", "class 3", "class 9"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([4, 5, 4, 5, 4, 5], "2 classes × 3 images"),
        ([4, 4], "1 class × 2 images"),
        ([4, 5], "2 classes × 1 image"),
        ([4, 5, 5], "2 classes × 1 to 2 images"),
    ],
)
def test_describe(labels: list[int], words: str) -> None:
    assert describe(graph_of(labels)) == words


def test_slots_of_a_slot_major_batch(graph: Data) -> None:
    slots = class_slots(graph)
    assert slots.shape == (3, 5, 16)
    torch.testing.assert_close(slots[2, 1], graph.x[2 * 5 + 1])


@pytest.mark.parametrize("labels", [[1, 1, 2, 2], [1, 2, 1], [1, 2, 2, 1]])
def test_slots_of_another_order(labels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"^Expected nodes in slot-major order, node i of class"):
        class_slots(graph_of(labels))
