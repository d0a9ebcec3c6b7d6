"""Last layers of an embedder that start at the backbone's similarity, or in closed form."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Rows of features that are multiplied together.
ROWS = 4096


class ResidualHead(nn.Module):
    r"""A fixed projection of the features' directions, and a linear layer that starts at zero.

    .. math:: z = P u + W (u - m) / s + b, \qquad u = f / \lVert f \rVert

    `fit` takes P, m and s from features; they are buffers. The rows of P are the D principal
    directions of u, without centring or whitening: no other projection to D dimensions keeps the
    inner products of u, which are the cosines of the features, as well (Eckart and Young 1936). W
    and b start at 0, so training starts at the similarity of the backbone. m is the mean of u, and
    s the standard deviation of all entries together: one for each channel gave worse embeddings of
    unseen classes.

    Args:
        width: Width of the features.
        dim: Embedding dimension D, at most `width`.

    Shapes:
        `[N, width]` to `[N, dim]`.

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
        _check_dim(width, dim)
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
        """Choose projection, mean and scale by features `[N, width]` of training images.

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


class ClassStatistics:
    r"""Sums over the features of some classes, from which `WhiteningHead.fit` computes its map.

    Takes the directions :math:`u = f / \lVert f \rVert` of features f in batches, in float64 and on
    the CPU, since the smallest variances need it and some devices lack it. Memory: the means
    [classes, width] and one [width, width] matrix, whatever the number of images.

    Example:
        >>> statistics = ClassStatistics(width=2, classes=2)
        >>> statistics.add(torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([1, 1]))
        >>> statistics.images, statistics.means[1]
        (2, tensor([0.3000, 0.9000], dtype=torch.float64))
    """

    def __init__(self, width: int, classes: int) -> None:
        self.counts = torch.zeros(classes, dtype=torch.int64)
        self.sums = torch.zeros(classes, width, dtype=torch.float64)
        self.moment = torch.zeros(width, width, dtype=torch.float64)

    def add(self, features: Tensor, labels: Tensor) -> None:
        """Take in features `[N, width]` with labels `[N]`, each in 0 … classes - 1.

        Raises:
            ValueError: If a feature is not finite.
        """
        labels = labels.cpu()
        for rows, numbers in zip(features.split(ROWS), labels.split(ROWS), strict=True):
            directions = F.normalize(rows.detach().cpu().double())
            if not directions.isfinite().all():
                raise ValueError("the features of some training images are not finite")
            self.counts += numbers.bincount(minlength=len(self.counts))
            self.sums.index_add_(0, numbers, directions)
            self.moment.addmm_(directions.T, directions)

    @property
    def images(self) -> int:
        """N, the number of images."""
        return int(self.counts.sum())

    @property
    def classes(self) -> int:
        """The number of classes that have images."""
        return int((self.counts > 0).sum())

    @property
    def means(self) -> Tensor:
        """Mean direction of each class, [classes, width]; 0 for a class without images."""
        return self.sums / self.counts.clamp(min=1).unsqueeze(1)

    @property
    def mean(self) -> Tensor:
        """Mean direction of all images, [width]."""
        return self.sums.sum(0) / max(self.images, 1)

    @property
    def within(self) -> Tensor:
        """Covariance of the deviations from the class means, divided by N, [width, width]."""
        return (self.moment - self.means.T @ self.sums) / max(self.images, 1)

    @property
    def between(self) -> Tensor:
        """Covariance of the class means, each counted once per image, [width, width]."""
        centred = self.means - self.mean
        weights = self.counts.double().unsqueeze(1) / max(self.images, 1)
        return (centred * weights).T @ centred


def oas_shrinkage(covariance: Tensor, samples: int) -> float:
    r"""Compute the shrinkage of a covariance matrix by Oracle Approximating Shrinkage.

    .. math:: s = \min\Big(1, \frac{\overline{S^2} + \mu^2}
            {(n + 1)\,(\overline{S^2} - \mu^2 / p)}\Big)

    with :math:`\overline{S^2}` the mean of the squared entries of S, μ = tr S / p, p its width and
    n the number of samples. As `sklearn.covariance.oas`, from S alone.

    Source: Chen, Wiesel, Eldar and Hero, "Shrinkage Algorithms for MMSE Covariance Estimation",
    IEEE Transactions on Signal Processing 58 (2010).
    """
    width = len(covariance)
    squares = covariance.square().mean().item()
    mean = covariance.diagonal().mean().item()
    excess = squares - mean**2 / width
    return 1.0 if excess <= 0 else min(1.0, (squares + mean**2) / ((samples + 1) * excess))


def whitening(statistics: ClassStatistics, shrinkage: float | None = None) -> Tensor:
    r"""Compute :math:`\Sigma^{-1/2}` of `WhiteningHead`, [width, width] in float64.

    Args:
        statistics: Of the training images.
        shrinkage: s in (0, 1]; default: by `oas_shrinkage`.

    Raises:
        ValueError: If no class has two different images.

    Example:
        >>> statistics = ClassStatistics(width=3, classes=2)
        >>> statistics.add(torch.rand(20, 3), torch.arange(20) % 2)
        >>> whitened = whitening(statistics, shrinkage=1e-9)
        >>> covariance = whitened @ statistics.within @ whitened
        >>> torch.allclose(covariance, torch.eye(3).double(), atol=1e-4)
        True
    """
    within = statistics.within
    scale = within.diagonal().mean()
    # Rounding leaves about 1e-16 of the variance of the directions themselves.
    if scale <= 1e-12 * statistics.moment.diagonal().mean() / max(statistics.images, 1):
        raise ValueError(
            "no class has two different training images, so that nothing is known about the "
            "variation within a class: add images"
        )
    if shrinkage is None:
        shrinkage = oas_shrinkage(within, statistics.images)
    diagonal = torch.eye(len(within), dtype=torch.float64) * scale
    values, vectors = torch.linalg.eigh((1 - shrinkage) * within + shrinkage * diagonal)
    return (vectors / values.sqrt()) @ vectors.T


def discriminants(statistics: ClassStatistics, whitened: Tensor) -> Tensor:
    """Rotate a whitening map, so that the class means vary most in the first dimensions.

    Of the [width, width] map, only the first dimensions, one fewer than classes, tell them apart.

    Example:
        >>> statistics = ClassStatistics(width=3, classes=2)
        >>> statistics.add(torch.rand(20, 3), torch.arange(20) % 2)
        >>> weight = discriminants(statistics, whitening(statistics))
        >>> apart = (weight @ (statistics.means[0] - statistics.means[1])).abs()
        >>> bool(apart[0] > 1e-3), bool(apart[1] < 1e-6)
        (True, True)
    """
    spread = torch.linalg.eigh(whitened @ statistics.between @ whitened)
    return spread.eigenvectors.flip(1).T @ whitened


class WhiteningHead(nn.Module):
    r"""A linear map of the features' directions under which classes vary equally in all directions.

    .. math:: z = W (u - \mu), \qquad u = f / \lVert f \rVert, \qquad
        \Sigma = (1 - s) S + s \, \frac{\mathrm{tr} S}{p} I

    `fit` computes it in closed form from S, the covariance of u within classes, and μ, its mean. At
    the width of the features, :math:`W = \Sigma^{-1/2}` (within-class whitening). With fewer
    dimensions D, W maps to the D directions in which the whitened class means vary most (linear
    discriminant analysis), of which there are at most one fewer than classes. In both cases
    distances between embeddings are Mahalanobis distances under Σ (in those directions).

    W and -Wμ are the weight and bias of `linear`, which can also be trained further.

    Args:
        width: Width p of the features.
        dim: Embedding dimension D, at most `width`; default: `width`.

    Shapes:
        `[N, width]` to `[N, dim]`.

    Source: Mikolajczyk and Matas, "Improving Descriptors for Fast Tree Matching by Optimal Linear
    Projection", ICCV 2007; Hatch, Kajarekar and Stolcke, "Within-Class Covariance Normalization
    for SVM-based Speaker Recognition", Interspeech 2006.

    Example:
        >>> features, labels = torch.rand(60, 5), torch.arange(60) % 4
        >>> statistics = ClassStatistics(width=5, classes=4)
        >>> statistics.add(features, labels)
        >>> head = WhiteningHead(width=5)
        >>> head.fit(statistics, shrinkage=1e-9)
        >>> z = head(features).detach().double()
        >>> residuals = torch.cat([z[labels == c] - z[labels == c].mean(0) for c in range(4)])
        >>> torch.allclose(residuals.T @ residuals / 60, torch.eye(5).double(), atol=1e-3)
        True
    """

    def __init__(self, width: int, dim: int | None = None) -> None:
        super().__init__()
        dim = width if dim is None else dim
        _check_dim(width, dim)
        self.linear = nn.Linear(width, dim)

    def forward(self, features: Tensor) -> Tensor:
        """Map features `[N, width]` to embeddings `[N, dim]`."""
        return self.linear(F.normalize(features))

    @torch.no_grad()
    def fit(self, statistics: ClassStatistics, shrinkage: float | None = None) -> None:
        """Compute the map, with s in (0, 1], by default `oas_shrinkage`.

        Raises:
            ValueError: If no class has two different images, or there are too few classes for
                `dim`.
        """
        dim, width = self.linear.out_features, self.linear.in_features
        if dim < width and dim > statistics.classes - 1:
            raise ValueError(
                f"expected at most {statistics.classes - 1} dimensions with {statistics.classes} "
                f"training classes, or {width}, the width of the backbone's features (got {dim})"
            )
        weight = whitening(statistics, shrinkage)
        if dim < width:
            weight = discriminants(statistics, weight)[:dim]
        self.linear.weight.copy_(weight)
        self.linear.bias.copy_(-weight @ statistics.mean)


def _check_dim(width: int, dim: int) -> None:
    if dim > width:
        raise ValueError(
            f"Expected 'dim' of at most {width}, the width of the backbone's features (got {dim})."
        )
