import numpy as np
import pytest

from gcahng.graph.visualize.spread import TOLERANCE, spread


def _gaps(points: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """How far apart each two boxes are, in sides, by a loop."""
    scale = np.asarray(size)
    return np.array(
        [
            np.abs((points[i] - points[j]) / scale).max()
            for i in range(len(points))
            for j in range(i)
        ]
    )


@pytest.mark.parametrize("count", [2, 15, 81])
def test_no_box_hides_another(count: int) -> None:
    points = np.random.default_rng(0).normal(size=(count, 2))
    size = (1.2 / np.sqrt(count), 0.6 / np.sqrt(count))
    assert _gaps(points, size).min() < 1 - TOLERANCE or count == 2
    assert _gaps(spread(points, size), size).min() >= 1 - TOLERANCE


def test_points_in_one_place_part() -> None:
    moved = spread(np.zeros((40, 2)), (1, 1))
    assert _gaps(moved, (1, 1)).min() >= 1 - TOLERANCE
    # A crowd of 40 takes about 40 squares, not a desert.
    assert np.ptp(moved, axis=0).max() < 12


def test_free_boxes_stay() -> None:
    points = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 5.0], [0.2, 5.0]])
    moved = np.abs(spread(points, (1, 1)) - points).max(axis=1)
    assert moved[:2].max() <= 0.01
    assert moved[2:].min() > 0.1


def test_the_same_every_time() -> None:
    points = np.random.default_rng(1).normal(size=(30, 2))
    np.testing.assert_array_equal(spread(points, (0.5, 0.5)), spread(points, (0.5, 0.5)))
