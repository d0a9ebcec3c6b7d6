import numpy as np
import pytest
import torch
from sklearn.covariance import oas
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from gcahng.models.heads import ClassStatistics, WhiteningHead, oas_shrinkage

WIDTH, CLASSES = 6, 5


def sample(images: int = 80, width: int = WIDTH, classes: int = CLASSES) -> tuple[Tensor, Tensor]:
    """Features of unequal classes whose channels vary unequally, and their labels."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(images, generator=generator).square() * classes).long()
    centres = torch.randn(classes, width, generator=generator, dtype=torch.float64)
    noise = torch.randn(images, width, generator=generator, dtype=torch.float64)
    return centres[labels] + noise * torch.linspace(0.2, 1.5, width), labels


def directions(features: Tensor) -> Tensor:
    return torch.stack([row / row.square().sum().sqrt() for row in features])


def collect(features: Tensor, labels: Tensor, batch: int = 1000) -> ClassStatistics:
    statistics = ClassStatistics(features.size(1), int(labels.max()) + 1)
    for rows, numbers in zip(features.split(batch), labels.split(batch), strict=True):
        statistics.add(rows, numbers)
    return statistics


def fitted(features: Tensor, labels: Tensor, dim: int | None = None, **args: float) -> Tensor:
    head = WhiteningHead(features.size(1), dim).double()
    head.fit(collect(features, labels), **args)
    return head(features).detach()


def residuals(u: Tensor, labels: Tensor) -> Tensor:
    return torch.cat([u[labels == c] - u[labels == c].mean(0) for c in labels.unique()])


def test_equals_the_loop() -> None:
    features, labels = sample()
    u, shrinkage = directions(features), 0.3
    covariance = torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
    for c in range(CLASSES):
        members = [row for row, label in zip(u, labels, strict=True) if label == c]
        mean = sum(members) / len(members)
        for row in members:
            covariance += torch.outer(row - mean, row - mean) / len(u)
    trace = sum(covariance[i, i] for i in range(WIDTH)) / WIDTH
    sigma = (1 - shrinkage) * covariance + shrinkage * trace * torch.eye(WIDTH, dtype=torch.float64)
    z = fitted(features, labels, shrinkage=shrinkage)
    for i in range(0, 80, 7):
        for j in range(3, 80, 11):
            difference = u[i] - u[j]
            squared = difference @ torch.linalg.solve(sigma, difference)
            assert (z[i] - z[j]).square().sum().item() == pytest.approx(squared.item(), rel=1e-10)
    assert z.mean(0).abs().max() < 1e-12


# Scikit-learn also shrinks the total covariance, of which its discriminants are the directions, so
# they agree without shrinkage; all of them together span the same space with any.
@pytest.mark.parametrize(
    ("dim", "shrinkage", "classes"),
    [(1, 1e-13, 5), (3, 1e-13, 5), (4, 1e-13, 5), (6, 0.05, 8), (6, 0.6, 8)],
)
def test_distances_equal_those_of_scikit_learns_discriminants(
    dim: int, shrinkage: float, classes: int
) -> None:
    features, labels = sample(classes=classes)
    analysis = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage, n_components=dim)
    theirs = torch.from_numpy(analysis.fit_transform(directions(features).numpy(), labels.numpy()))
    z = fitted(features, labels, dim, shrinkage=shrinkage)
    torch.testing.assert_close(torch.pdist(z), torch.pdist(theirs), atol=1e-9, rtol=0)


@pytest.mark.parametrize("images", [7, 80])
def test_shrinkage_equals_scikit_learns(images: int) -> None:
    features, labels = sample(images)
    r = residuals(directions(features), labels)
    covariance, shrinkage = oas(r.numpy(), assume_centered=True)
    statistics = collect(features, labels)
    assert oas_shrinkage(statistics.within, images) == pytest.approx(shrinkage, rel=1e-9)
    z = fitted(features, labels)
    moment = torch.from_numpy(np.linalg.inv(covariance)) @ (r.T @ r)
    whitened = residuals(z, labels)
    assert (whitened.T @ whitened).trace().item() == pytest.approx(moment.trace().item(), rel=1e-9)


def test_batches_change_nothing() -> None:
    features, labels = sample()
    whole, parts = collect(features, labels), collect(features, labels, batch=7)
    for name in ("counts", "means", "mean", "within", "between"):
        torch.testing.assert_close(getattr(whole, name), getattr(parts, name), atol=1e-14, rtol=0)


def test_order_and_length_of_features_change_nothing() -> None:
    features, labels = sample()
    order = torch.randperm(80, generator=torch.Generator().manual_seed(1))
    lengths = torch.linspace(0.1, 9, 80).unsqueeze(1)
    z, other = fitted(features, labels), fitted((features * lengths)[order], labels[order])
    torch.testing.assert_close(other, z[order], atol=1e-10, rtol=0)


def test_one_class_can_be_whitened() -> None:
    features, _ = sample()
    labels = torch.zeros(80, dtype=torch.int64)
    assert fitted(features, labels).isfinite().all()
    with pytest.raises(ValueError, match="at most 0 dimensions with 1 training classes, or 6"):
        fitted(features, labels, dim=2)


@pytest.mark.parametrize(
    ("change", "dim", "message"),
    [
        (lambda features, labels: (features[:5], torch.arange(5)), None, "two different training"),
        (lambda features, labels: (features[labels], labels), None, "two different training"),
        (lambda features, labels: (torch.ones(80, 6), labels), None, "two different training"),
        (lambda features, labels: (features, labels), 5, r"at most 4 .* 5 .* or 6, .* \(got 5\)"),
        (lambda features, labels: (features.log(), labels), None, "not finite"),
    ],
)
def test_refuses_what_has_no_answer(change: object, dim: int | None, message: str) -> None:
    features, labels = change(*sample())
    with pytest.raises(ValueError, match=message):
        fitted(features, labels, dim)
