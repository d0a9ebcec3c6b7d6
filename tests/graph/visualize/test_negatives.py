import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch_geometric.data import Data

from gcahng.graph.visualize import negatives
from gcahng.graph.visualize.negatives import draw_negatives
from gcahng.graph.visualize.projection import Projection


def _panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.lines]


def _marks(axes: Axes, label: str) -> np.ndarray:
    return next(line.get_xydata() for line in axes.lines if line.get_label() == label)


def test_the_way_from_the_anchor_to_the_nearest_real_image(
    graph: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchor = 2 * 5 + 3
    monkeypatch.setattr(negatives, "chosen_anchors", lambda points: [anchor])
    axes = _panels(draw_negatives(graph))[0]
    projection = Projection.fit(graph.x)
    first, second = (lines.get_segments() for lines in axes.collections[1:3])
    assert len(first) == len(second) == 4
    for row, b in enumerate([0, 1, 2, 4]):
        made = graph.negatives[2, 3, b]
        nearest = min(range(b, 15, 5), key=lambda node: float((graph.x[node] - made).norm()))
        points = projection(torch.stack([graph.x[anchor], made, graph.x[nearest]]))
        np.testing.assert_allclose([*first[row], second[row][1]], points, rtol=1e-5)
        np.testing.assert_allclose(second[row][0], points[1], rtol=1e-5)
    np.testing.assert_allclose(_marks(axes, "anchor"), projection(graph.x[[anchor]]))
    np.testing.assert_allclose(_marks(axes, "positive"), projection(graph.x[[3]]))
    np.testing.assert_allclose(_marks(axes, "real image"), projection(graph.x))
    assert axes.get_title() == "anchor #13 (bird 13)"
