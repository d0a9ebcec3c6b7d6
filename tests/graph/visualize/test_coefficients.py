import numpy as np
import torch
from torch_geometric.data import Data

from gcahng.graph.visualize.coefficients import chosen_pairs, draw_coefficients
from tests.graph.visualize.conftest import make_graph
from tests.graph.visualize.drawing import assert_legible


def test_channels_are_ordered_by_variance_over_the_pairs(graph: Data) -> None:
    groups = chosen_pairs(graph)
    assert [len(pairs) for pairs in groups.values()] == [4, 4, 4]
    pairs = [pair for group in groups.values() for pair in group]
    assert all((i % 5 == j % 5) == (number < 4) for number, (i, j) in enumerate(pairs))
    shown = np.asarray(draw_coefficients(graph).axes[0].images[0].get_array())
    columns = torch.stack([graph.coefficients[15 * i + j] for i, j in pairs], dim=1)
    order = sorted(range(16), key=lambda channel: -float(columns[channel].var()))
    np.testing.assert_allclose(shown, columns[order], rtol=1e-6)


def test_classes_of_one_image() -> None:
    assert_legible(draw_coefficients(make_graph(3, 1)))
