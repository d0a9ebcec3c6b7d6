import numpy as np
import pytest
import torch
from torch import Tensor

from gcahng.graph.visualize.projection import TOLERANCE, Projection, spread


@pytest.fixture
def points() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(30, 6) * torch.tensor([5.0, 3.0, 1.0, 1.0, 1.0, 1.0]) + 7


def test_components_are_orthonormal_and_the_widest(points: Tensor) -> None:
    projection = Projection.fit(points)
    gram = projection.components @ projection.components.T
    torch.testing.assert_close(gram, torch.eye(2, dtype=torch.float64))
    spread = torch.linalg.eigvalsh(points.double().T.cov()).flip(0)
    torch.testing.assert_close(projection(points).var(0), spread[:2])
    assert projection.shares == pytest.approx((spread[:2] / spread.sum()).tolist())
    assert "(0%" not in projection.axis_labels()[0]
    assert f"{projection.shares[1]:.0%}" in projection.axis_labels()[1]


def test_signs_do_not_depend_on_the_decomposition(points: Tensor) -> None:
    once = Projection.fit(points).components
    largest = once.gather(1, once.abs().argmax(1, keepdim=True))
    assert (largest > 0).all()
    # The mirrored points have the same plane: only a rule keeps its axes.
    torch.testing.assert_close(Projection.fit(-points).components, once)
    torch.testing.assert_close(Projection.fit(points.flip(0)).components, once)


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (4,)])
def test_too_few_points_or_channels(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^Expected 'embeddings' of shape \[N, D\] with N ≥ 2"):
        Projection.fit(torch.zeros(shape))
    with pytest.raises(ValueError, match="Expected finite 'embeddings'"):
        Projection.fit(torch.full((3, 2), torch.nan))


def _least_gap(points: np.ndarray, side: float) -> float:
    """How far apart the nearest two squares are, in sides, by a loop."""
    pairs = [(i, j) for i in range(len(points)) for j in range(i)]
    return min(float(np.abs(points[i] - points[j]).max()) / side for i, j in pairs)


@pytest.mark.parametrize("count", [2, 15, 81])
def test_no_box_hides_another(count: int) -> None:
    points = np.random.default_rng(0).normal(size=(count, 2))
    side = 1.2 / np.sqrt(count)
    assert _least_gap(points, side) < 1 - TOLERANCE or count == 2
    assert _least_gap(spread(points, side), side) >= 1 - TOLERANCE
