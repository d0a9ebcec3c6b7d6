import numpy as np
import pytest
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from torch_geometric.data import Data

from gcahng.graph import batch_graph
from gcahng.graph.visualize.batch import class_titles
from gcahng.graph.visualize.learned import COEFFICIENT, CORRELATION, edge_weights
from gcahng.graph.visualize.matrices import MASKED, draw_matrices
from gcahng.graph.visualize.style import SEQUENTIAL
from tests.graph.visualize.conftest import make_graph


def _matrices(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.images]


def _by_class(graph: Data, weights: torch.Tensor) -> np.ndarray:
    """Row j, column i: the edge i → j; class by class, by a loop."""
    labels = graph.y.tolist()
    order = [n for label in dict.fromkeys(labels) for n, own in enumerate(labels) if own == label]
    return np.array([[float(weights[i, j]) for i in order] for j in order])


def test_matrices_are_the_edge_weights_class_by_class(graph: Data) -> None:
    panels = _matrices(draw_matrices(graph))
    titles = [CORRELATION, COEFFICIENT, *(f"head {h}" for h in (1, 2, 3, 4))]
    assert [axes.get_title() for axes in panels] == titles + titles[2:]
    size = graph.num_nodes
    expected = [graph.edge_attr.sum(-1).view(size, size), edge_weights(graph)[0]]
    expected += [edge_weights(graph, layer, h)[0] for layer in (1, 2) for h in (1, 2, 3, 4)]
    for axes, weights in zip(panels, expected, strict=True):
        shown = axes.images[0].get_array()
        np.testing.assert_allclose(shown, _by_class(graph, weights), rtol=1e-5, atol=1e-7)


def test_layers_without_attention_and_plain_graphs(graph: Data) -> None:
    graph.attention = [None, graph.attention[1]]
    figure = draw_matrices(graph)
    assert len(_matrices(figure)) == 6
    assert figure.subfigs[1]._suptitle.get_text().startswith("attention of layer 2")
    plain = batch_graph(graph.x, graph.y)
    assert [axes.get_title() for axes in _matrices(draw_matrices(plain))] == [CORRELATION]


def test_masked_pairs_have_their_own_colour(graph: Data) -> None:
    graph.attention[0][0 * 15 + 1] = 0
    figure = draw_matrices(graph)
    image = _matrices(figure)[2].images[0]
    own = np.kron(np.eye(5), np.ones((3, 3))) == 1
    assert (np.ma.getmaskarray(image.get_array()) == own).all()
    colours = image.to_rgba(image.get_array())
    assert {to_hex(colour) for colour in colours[own]} == {MASKED}
    # A weight of 0 between two classes is no mask.
    assert to_hex(colours[3, 0]) == to_hex(colormaps[SEQUENTIAL](0))
    legend = figure.subfigs[1].legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["masked: pairs of one class"]
    assert to_hex(legend.get_patches()[0].get_facecolor()) == MASKED


@pytest.mark.parametrize(("classes", "named"), [(3, True), (12, False)])
def test_few_classes_have_their_names_beside(classes: int, named: bool) -> None:
    graph = make_graph(classes, 2)
    labels = _matrices(draw_matrices(graph))[0].get_yticklabels()
    assert [text.get_text() for text in labels] == (class_titles(graph, 14) if named else [])
