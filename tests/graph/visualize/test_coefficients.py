import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from torch_geometric.data import Data

from gcahng.graph.visualize.coefficients import class_means, draw_coefficients
from tests.graph.visualize.conftest import make_graph
from tests.graph.visualize.drawing import assert_legible


def _panel(graph: Data, title: str) -> Axes:
    figure = draw_coefficients(graph)
    return next(axes for axes in figure.axes if axes.get_title().startswith(title))


def test_channels_are_ordered_by_variance_over_the_pairs(graph: Data) -> None:
    pairs = [(0, 5), (0, 1), (3, 9), (2, 4)]
    shown = np.asarray(draw_coefficients(graph, pairs).axes[0].images[0].get_array())
    columns = torch.stack([graph.coefficients[15 * i + j] for i, j in pairs], dim=1)
    order = sorted(range(16), key=lambda channel: -float(columns[channel].var()))
    np.testing.assert_allclose(shown, columns[order], rtol=1e-6)


def test_class_means_equal_the_loop(graph: Data) -> None:
    weights = graph.coefficients.mean(-1).view(15, 15)
    found = class_means(weights, torch.arange(15) % 5)
    for a in range(5):
        for b in range(5):
            pairs = [(i, j) for i in range(a, 15, 5) for j in range(b, 15, 5) if i != j]
            expected = sum(float(weights[i, j]) for i, j in pairs) / len(pairs)
            assert float(found[a, b]) == pytest.approx(expected, rel=1e-5)
    shown = _panel(graph, "Mean of").images[0].get_array()
    np.testing.assert_allclose(shown, found, rtol=1e-5)


def test_a_class_of_one_image_has_no_pairs() -> None:
    found = class_means(torch.ones(2, 2), torch.arange(2))
    assert found.isnan().tolist() == [[True, False], [False, True]]
    assert_legible(draw_coefficients(make_graph(3, 1)))
