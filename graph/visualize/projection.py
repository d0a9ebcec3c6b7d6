"""The plane in which a batch of embeddings is spread most."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Projection:
    r"""The first two principal components of real embeddings.

    .. math:: p = W (z - \bar z), \quad W W^\top = I

    It keeps distances within the plane, in units of the embedding. Synthetic points go through the
    same map but have no part in it, so that they cannot turn the plane towards themselves.

    Attributes:
        mean: [D], the mean of the embeddings.
        components: [2, D], orthonormal rows; the largest entry of each is positive.
        shares: Of the embeddings' variance that each component shows, in [0, 1].
    """

    mean: Tensor
    components: Tensor
    shares: tuple[float, float]

    @classmethod
    def fit(cls, embeddings: Tensor) -> "Projection":
        """Find the plane of embeddings [N, D], N ≥ 2 and D ≥ 2.

        Raises:
            ValueError: If the shape is another or a value is not finite.
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
        # Either sign of a component is right; without a rule it would depend on the platform.
        largest = components.abs().argmax(1, keepdim=True)
        components = components * components.gather(1, largest).sign()
        variances = scales.square()
        # Equal embeddings have no variance to share.
        first, second = (variances[:2] / variances.sum().clamp(min=1e-300)).tolist()
        return cls(mean, components, (first, second))

    def __call__(self, points: Tensor) -> Tensor:
        """Shapes: [..., D] → [..., 2], float64."""
        return (points.detach().to("cpu", torch.float64) - self.mean) @ self.components.T

    def axis_labels(self) -> tuple[str, str]:
        """Labels of both axes, with the share of the variance that each shows."""
        first, second = (
            f"{name} principal component ({share:.0%} of the variance)"
            for name, share in zip(("first", "second"), self.shares, strict=True)
        )
        return first, second
