"""Projection of embeddings to their principal plane."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Projection:
    r"""The first two principal components of real embeddings.

    .. math:: p = W (z - \bar z), \quad W W^\top = I

    Distances within the plane are preserved. Synthetic points are projected with the same map but
    not used to fit it, so they do not affect the plane.

    Attributes:
        mean: [D], the mean of the embeddings.
        components: [2, D], orthonormal rows; the largest entry of each is positive.
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
        """Fit the plane to embeddings [N, D], N ≥ 2 and D ≥ 2.

        Raises:
            ValueError: If the shape is invalid or a value is not finite.
        """
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
