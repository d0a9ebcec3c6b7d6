import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph.visualize.batch_picture import draw_graph, strongest_edges
from gcahng.graph.visualize.learned import edge_weights
from gcahng.graph.visualize.style import SAME_CLASS
from tests.graph.visualize.conftest import make_graph
from tests.graph.visualize.drawing import assert_legible


def _strongest(weights: Tensor, count: int) -> set[tuple[int, int]]:
    """Senders and receivers, by a loop."""
    size = len(weights)
    found = set()
    for receiver in range(size):
        others = [s for s in range(size) if s != receiver and weights[s, receiver] != 0]
        others.sort(key=lambda sender: -float(weights[sender, receiver]))
        found |= {(sender, receiver) for sender in others[:count]}
    return found


def _lines(figure: Figure) -> tuple[LineCollection, LineCollection]:
    halo, lines = figure.axes[0].collections[:2]
    return halo, lines


@pytest.mark.parametrize("count", [1, 3, 20])
def test_edges_drawn_are_the_strongest_of_each_node(graph: Data, count: int) -> None:
    _, lines = _lines(draw_graph(graph, strongest=count))
    weights, _ = edge_weights(graph)
    expected = {frozenset(edge) for edge in _strongest(weights, count)}
    assert len(lines.get_segments()) == len(expected)
    values = sorted(float(weights[tuple(edge)]) for edge in expected)
    np.testing.assert_allclose(lines.get_array(), values, rtol=1e-5)


def test_pairs_of_one_class_are_marked(graph: Data) -> None:
    figure = draw_graph(graph, strongest=14)
    halo, lines = _lines(figure)
    # All pairs of 5 classes of 3 are drawn.
    assert len(lines.get_segments()) == 15 * 14 / 2
    assert len(halo.get_segments()) == 5 * 3
    assert "15 of 105 edges join images of one class" in figure._suptitle.get_text()
    assert figure.legends[0].get_lines()[0].get_color() == SAME_CLASS


def test_masked_edges_are_none() -> None:
    weights = torch.tensor([[9.0, 0.5, 0.0], [0.5, 9.0, 0.0], [0.0, 0.0, 9.0]])
    assert strongest_edges(weights, 2).tolist() == [[0], [1]]
    weights[0, 1] = weights[1, 0] = torch.nan
    assert strongest_edges(weights, 2).tolist() == [[], []]


def test_without_images_nodes_carry_their_class(graph: Data) -> None:
    del graph.image, graph.name
    figure = draw_graph(graph)
    assert not figure.axes[0].artists
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "2", "3", "4", "5"] * 3
    assert figure.legends[1].get_texts()[0].get_text() == "1  class 10"


@pytest.mark.parametrize(("classes", "samples"), [(27, 3), (31, 2)])
def test_many_classes_are_legible(classes: int, samples: int) -> None:
    graph = make_graph(classes, samples)
    graph.name = [f"{name} of a long $name" for name in graph.name]
    figure = draw_graph(graph)
    assert_legible(figure)
    # The names of more than thirty classes would be longer than the picture.
    assert len(figure.legends) == (2 if classes <= 30 else 1)
