"""Compare two embeddings of the same images: by how much one is better, and how sure that is."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gcahng.evaluation.retrieval import QueryScores

RESAMPLES = 2000
# Resamples whose counts of classes are in memory together.
TOGETHER = 100


@dataclass(frozen=True)
class Difference:
    """A metric of one embedding minus that of another.

    Attributes:
        value: The difference, as a fraction.
        low: Lower end of its 95 % interval.
        high: Upper end.

    Example:
        >>> Difference(0.05, 0.01, 0.09).verdict, Difference(0.05, -0.01, 0.11).verdict
        ('better', 'no difference seen')
    """

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or `no difference seen` if the interval contains 0."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no difference seen"


def paired_difference(
    first: QueryScores, second: QueryScores, metric: str, seed: int = 0
) -> Difference:
    """Compute the difference of a metric, first minus second, with a 95 % interval.

    A paired bootstrap over classes: each of 2,000 resamples draws as many classes as there are,
    with replacement, and takes the mean difference over their queries; the interval is between
    the 2.5 and the 97.5 % quantile.

    Args:
        first: Scores of one embedding.
        second: Scores of the other, of the same queries in the same order.
        metric: One of their `names`.
        seed: Of the resamples.

    Raises:
        ValueError: If the queries are not the same.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

    Example:
        >>> scores = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
        >>> first = QueryScores(torch.tensor([0, 1]), (1,), scores, torch.tensor([1, 1]))
        >>> second = QueryScores(torch.tensor([0, 1]), (1,), 0 * scores, torch.tensor([1, 1]))
        >>> paired_difference(first, second, "map@r")
        Difference(value=0.5, low=0.0, high=1.0)
    """
    sums, counts = _by_class(first, second, metric)
    generator = torch.Generator().manual_seed(seed)
    size, means = len(sums), []
    for _ in range(RESAMPLES // TOGETHER):
        drawn = torch.randint(size, (TOGETHER, size), generator=generator)
        means.append(sums[drawn].sum(1) / counts[drawn].sum(1))
    quantiles = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = torch.cat(means).quantile(quantiles).tolist()
    return Difference((sums.sum() / counts.sum()).item(), low, high)


def gains(model: QueryScores, untrained: QueryScores) -> dict[str, float]:
    """By how much a model is better than its untrained network, in MAP@R and in the first Recall@K.

    Returns:
        `gain/METRIC` with the ends of its interval, `gain/METRIC/low` and `gain/METRIC/high`.

    Example:
        >>> scores = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
        >>> model = QueryScores(torch.tensor([0, 1]), (1,), scores, torch.tensor([1, 1]))
        >>> untrained = QueryScores(torch.tensor([0, 1]), (1,), 0 * scores, torch.tensor([1, 1]))
        >>> [name for name, gain in gains(model, untrained).items() if gain == 0.5]
        ['gain/map@r', 'gain/recall@1']
    """
    found: dict[str, float] = {}
    for metric in ("map@r", model.names[0]):
        gain = paired_difference(model, untrained, metric)
        name = f"gain/{metric}"
        found |= {name: gain.value, f"{name}/low": gain.low, f"{name}/high": gain.high}
    return found


def standard_error(first: QueryScores, second: QueryScores, metric: str) -> float:
    """Compute the standard error, over classes, of the difference of a metric.

    It is that of the mean of the classes' differences; infinite for a single class.

    Example:
        >>> scores = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
        >>> first = QueryScores(torch.tensor([0, 1]), (1,), scores, torch.tensor([1, 1]))
        >>> second = QueryScores(torch.tensor([0, 1]), (1,), 0 * scores, torch.tensor([1, 1]))
        >>> standard_error(first, second, "map@r")
        0.5
    """
    sums, counts = _by_class(first, second, metric)
    if len(sums) < 2:
        return float("inf")
    return ((sums / counts).std() / len(sums) ** 0.5).item()


def _by_class(first: QueryScores, second: QueryScores, metric: str) -> tuple[Tensor, Tensor]:
    """Sum the differences of each class's queries, and count these."""
    (ours, labels), (theirs, others) = first.of(metric), second.of(metric)
    if not torch.equal(labels, others):
        raise ValueError("Expected scores of the same queries in the same order.")
    classes = labels.unique(return_inverse=True)[1]
    counts = classes.bincount()
    sums = torch.zeros(len(counts), dtype=torch.float64).index_add_(0, classes, ours - theirs)
    return sums, counts.double()
