"""The last layer of an embedder that starts at the backbone's own similarity."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Rows of features that are multiplied together.
ROWS = 4096


class ResidualHead(nn.Module):
    r"""A fixed projection of the features' directions, and a linear layer that starts at zero.

    .. math:: z = P u + W (u - m) / s + b, \qquad u = f / \lVert f \rVert

    `fit` takes P, m and s from features. The rows of P are the D principal directions of u, without
    centring or whitening: no other projection to D dimensions keeps the inner products of u, which
    are the cosines of the features, as well (Eckart and Young 1936). W and b start at 0, so
    training starts at the similarity of the backbone. m is the mean of u, and s the standard
    deviation of all entries together: one for each channel gave worse embeddings of unseen classes.

    P, m and s are buffers: a checkpoint holds them, so loading needs no features.

    Args:
        width: Width of the features.
        dim: Embedding dimension D, at most `width`.

    Shapes:
        `[N, width]` to `[N, dim]`.

    Raises:
        ValueError: If `dim` is larger than `width`.

    Example:
        >>> features = torch.rand(50, 6)
        >>> head = ResidualHead(width=6, dim=6)
        >>> head.fit(features)
        >>> before, after = (F.normalize(rows) for rows in (features, head(features)))
        >>> torch.allclose(before @ before.T, after @ after.T, atol=1e-5)
        True
    """

    projection: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        if dim > width:
            raise ValueError(
                f"Expected 'dim' of at most {width}, the width of the backbone's features, for a "
                f"residual head (got {dim})."
            )
        self.register_buffer("projection", torch.eye(dim, width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))
        self.linear = nn.Linear(width, dim)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Map features `[N, width]` to embeddings `[N, dim]`."""
        directions = F.normalize(features)
        change = self.linear((directions - self.mean) / self.scale)
        return F.linear(directions, self.projection) + change

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Choose projection, mean and scale.

        Args:
            features: `[N, width]`, of training images.

        Raises:
            ValueError: If they are not all finite.
        """
        if not features.isfinite().all():
            raise ValueError("The backbone's features of the training images are not all finite.")
        # In float64 and on the CPU, as the smallest directions need it and some devices lack it.
        moment = torch.zeros(features.size(1), features.size(1), dtype=torch.float64)
        total = torch.zeros(features.size(1), dtype=torch.float64)
        for rows in features.split(ROWS):
            directions = F.normalize(rows.double().cpu())
            moment += directions.T @ directions
            total += directions.sum(0)
        mean, moment = total / len(features), moment / len(features)
        dim = len(self.projection)
        self.projection.copy_(torch.linalg.eigh(moment).eigenvectors.flip(1)[:, :dim].T)
        self.mean.copy_(mean)
        variance = (moment.diagonal() - mean.square()).mean()
        self.scale.copy_(variance.clamp(min=1e-12).sqrt())

    def extra_repr(self) -> str:
        """Show the sizes."""
        dim, width = self.projection.shape
        return f"{width}, {dim}"
