import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch_geometric.data import Data

from gcahng.graph import batch_graph
from gcahng.graph.visualize.negatives import draw_negatives, nearest_real
from gcahng.graph.visualize.projection import Projection
from tests.graph.visualize.conftest import make_graph
from tests.graph.visualize.drawing import assert_legible


def _panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.lines]


def _marks(axes: Axes, label: str) -> np.ndarray:
    return next(line.get_xydata() for line in axes.lines if line.get_label() == label)


def test_the_way_from_the_anchor_to_the_nearest_real_image(graph: Data) -> None:
    anchor = 2 * 5 + 3
    axes = _panels(draw_negatives(graph, [anchor]))[0]
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
    assert axes.get_title() == "anchor #13 (bird 13, drawn as 4)"


def test_synthetic_points_do_not_turn_the_plane(graph: Data) -> None:
    before = _marks(_panels(draw_negatives(graph, [0]))[0], "real image")
    graph.negatives = graph.negatives + 100
    after = _marks(_panels(draw_negatives(graph, [0]))[0], "real image")
    np.testing.assert_array_equal(before, after)


def test_default_anchors_go_from_left_to_right(graph: Data) -> None:
    starts = [_marks(axes, "anchor")[0, 0] for axes in _panels(draw_negatives(graph))]
    assert len(starts) == 3
    assert starts == sorted(starts)
    assert starts[0] < 0 < starts[2]


def test_every_class_is_numbered_at_its_centre(graph: Data) -> None:
    axes = _panels(draw_negatives(graph, [0]))[0]
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4", "5"]
    centres = Projection.fit(graph.x)(graph.x.view(3, 5, -1)).mean(0)
    places = np.array([text.get_position() for text in axes.texts])
    assert np.abs(places - centres.numpy()).max() < 0.1 * np.ptp(centres.numpy(), axis=0).max()


def test_nearest_real_equals_the_loop() -> None:
    torch.manual_seed(0)
    slots, synthetic = torch.randn(4, 3, 5), torch.randn(3, 5)
    found = nearest_real(slots, synthetic)
    for b in range(3):
        nearest = min(slots[:, b], key=lambda sample: float((sample - synthetic[b]).norm()))
        torch.testing.assert_close(found[b], nearest)


@pytest.mark.parametrize("anchors", [None, [0], [0, 1, 2, 3]])
def test_legible(anchors: list[int] | None) -> None:
    graph = make_graph(12, 2)
    graph.name = [f"{name} of a long $name" for name in graph.name]
    assert_legible(draw_negatives(graph, anchors))


@pytest.mark.parametrize("labels", [[1, 1], [1, 2], [1, 2, 1, 2]])
def test_equal_embeddings_one_class_and_one_image(labels: list[int]) -> None:
    classes = len(set(labels))
    graph = batch_graph(torch.ones(len(labels), 3), torch.tensor(labels))
    graph.negatives = torch.ones(len(labels) // classes, classes, classes, 3)
    assert_legible(draw_negatives(graph))


def test_mistakes(graph: Data) -> None:
    with pytest.raises(ValueError, match=r"^Expected 'anchors' in \[0, 15\) \(got 15\)$"):
        draw_negatives(graph, [15])
    del graph.negatives
    with pytest.raises(ValueError, match=r"^Expected a graph with 'negatives' \(from"):
        draw_negatives(graph)
