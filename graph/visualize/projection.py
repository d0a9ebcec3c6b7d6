"""Places in a figure: the principal plane of the embeddings, and boxes that do not overlap."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# How boxes are moved apart: in rounds, by a part of what they overlap, until no two overlap by more
# than a fraction of their side.
ROUNDS, STEP, TOLERANCE = 2000, 0.7, 0.02


@dataclass(frozen=True)
class Projection:
    r"""The first two principal components of real embeddings: :math:`p = W (z - \bar z)`.

    Synthetic points are projected with the same map but not used to fit it.

    Attributes:
        mean: [D], the mean of the embeddings.
        components: W [2, D], orthonormal rows; the largest entry of each is positive.
        shares: Explained variance ratio of each component, in [0, 1].

    Example:
        >>> points = torch.tensor([[0.0, 0, 0], [4, 0, 0], [0, 2, 0], [4, 2, 0]])
        >>> projection = Projection.fit(points)
        >>> projection(points).abs()[0]
        tensor([2., 1.], dtype=torch.float64)
        >>> projection.axis_labels()[0]
        'first principal component (80% of the variance)'
    """

    mean: Tensor
    components: Tensor
    shares: tuple[float, float]

    @classmethod
    def fit(cls, embeddings: Tensor) -> "Projection":
        """Fit the plane to finite embeddings [N, D], N ≥ 2 and D ≥ 2; a ValueError otherwise."""
        if embeddings.dim() != 2 or min(embeddings.shape) < 2:
            raise ValueError(
                f"Expected 'embeddings' of shape [N, D] with N ≥ 2 and D ≥ 2 "
                f"(got {list(embeddings.shape)})"
            )
        points = embeddings.detach().to("cpu", torch.float64)
        if not points.isfinite().all():
            raise ValueError("Expected finite 'embeddings' (got NaN or infinity)")
        mean = points.mean(0)
        _, scales, rows = torch.linalg.svd(points - mean, full_matrices=False)
        components = rows[:2]
        # Components are defined up to sign; fix it so that results do not depend on the platform.
        largest = components.abs().argmax(1, keepdim=True)
        components = components * components.gather(1, largest).sign()
        variances = scales.square()
        # If all embeddings are equal, the variance is 0.
        first, second = (variances[:2] / variances.sum().clamp(min=1e-300)).tolist()
        return cls(mean, components, (first, second))

    def __call__(self, points: Tensor) -> Tensor:
        """Project points [..., D] → [..., 2], float64."""
        return (points.detach().to("cpu", torch.float64) - self.mean) @ self.components.T

    def axis_labels(self) -> tuple[str, str]:
        """Labels of both axes with their explained variance ratios."""
        first, second = (
            f"{name} principal component ({share:.0%} of the variance)"
            for name, share in zip(("first", "second"), self.shares, strict=True)
        )
        return first, second


def spread(points: np.ndarray, side: float) -> np.ndarray:
    """Move equal squares with centres [N, 2] apart until no two overlap; others stay in place."""
    from scipy.spatial import cKDTree  # here, since it takes a quarter of a second to import

    # Coinciding points have no direction to move in; a sunflower pattern gives each its own.
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(len(points))
    seed = 0.01 * np.sqrt(np.arange(len(points)) / len(points))
    boxes = points / side + seed[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for _ in range(ROUNDS):
        pairs = cKDTree(boxes).query_pairs(1 - TOLERANCE, p=np.inf, output_type="ndarray")
        if len(pairs) == 0:
            break
        gap = boxes[pairs[:, 0]] - boxes[pairs[:, 1]]
        # They push each other along the axis on which they overlap less.
        rows, axis = np.arange(len(gap)), np.abs(gap).argmax(1)
        along = gap[rows, axis]
        push = np.zeros_like(gap)
        push[rows, axis] = np.where(along < 0, -1, 1) * (1 - np.abs(along))
        move, hits = np.zeros_like(boxes), np.bincount(pairs.ravel(), minlength=len(boxes))
        np.add.at(move, pairs.T, np.stack([push, -push]))
        # Between the sum of all pushes, which overshoots in crowds, and the mean, which is slow.
        boxes = boxes + STEP * move / np.sqrt(np.maximum(hits, 1))[:, None]
    return boxes * side
