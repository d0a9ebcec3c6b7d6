"""What holds of every figure of a batch graph."""

from collections.abc import Callable

import pytest
import torch
from matplotlib.figure import Figure
from torch_geometric.data import Data

from gcahng.graph import batch_graph
from gcahng.graph.visualize import draw_coefficients, draw_distances, draw_graph, draw_negatives
from tests.graph.visualize.conftest import make_graph
from tests.graph.visualize.drawing import assert_legible

FIGURES = (draw_coefficients, draw_distances, draw_graph, draw_negatives)
every_figure = pytest.mark.parametrize("draw", FIGURES)
Draw = Callable[..., Figure]


@every_figure
@pytest.mark.parametrize("classes", [3, 12])
def test_legible(draw: Draw, classes: int) -> None:
    graph = make_graph(classes, 2)
    graph.name = [f"{name} of a long $name" for name in graph.name]
    assert_legible(draw(graph))


@pytest.mark.parametrize("draw", [draw_distances, draw_graph, draw_negatives])
@pytest.mark.parametrize("labels", [[1, 1], [1, 2], [1, 2, 1, 2]])
def test_equal_embeddings_one_class_and_one_image(draw: Draw, labels: list[int]) -> None:
    classes = len(set(labels))
    graph = batch_graph(torch.ones(len(labels), 3), torch.tensor(labels))
    graph.negatives = torch.ones(len(labels) // classes, classes, classes, 3)
    if draw is draw_distances and classes == 1:
        with pytest.raises(ValueError, match=r"at least 2 classes \(got 1\)$"):
            draw(graph)
    else:
        assert_legible(draw(graph))


def test_wrong_arguments(graph: Data) -> None:
    with pytest.raises(ValueError, match="'strongest' of at least 1"):
        draw_graph(graph, strongest=0)


@pytest.mark.parametrize("draw", [draw_coefficients, draw_distances, draw_negatives])
def test_what_is_missing_is_named(graph: Data, draw: Draw) -> None:
    missing = "coefficients" if draw is draw_coefficients else "negatives"
    del graph[missing]
    with pytest.raises(ValueError, match=f"a graph with '{missing}' .from"):
        draw(graph)
