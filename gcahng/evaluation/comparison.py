"""Compare two embeddings of the same images: by how much one is better, and how sure that is."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gcahng.evaluation.retrieval import QueryScores

RESAMPLES = 2000
# Resamples whose counts of classes are in memory together.
TOGETHER = 100


class Difference(NamedTuple):
    """A metric of one embedding minus that of another, as a fraction, with its 95 % interval."""

    value: float
    low: float
    high: float


class Changes(NamedTuple):
    """Where Recall@1 of one embedding differs from that of another.

    Positions of the queries that only the second gets right (`gained`) and only the first (`lost`);
    a row for each class with queries, what gained most first: `class`; `queries`, their number;
    Recall@1 by the `first` and the `second`; their `difference`; how many `gained` and `lost`.
    """

    gained: Tensor
    lost: Tensor
    classes: list[dict[str, Any]]


def paired_difference(
    first: QueryScores, second: QueryScores, metric: str, seed: int = 0
) -> Difference:
    """Compute the difference of a metric, first minus second, with a 95 % interval.

    A paired bootstrap over classes: each of 2,000 resamples draws as many classes as there are,
    with replacement, and takes the mean difference over their queries; the interval is between
    the 2.5 and the 97.5 % quantile.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
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
    """Compare a model with its untrained network: `gain/METRIC`, and its ends `/low` and `/high`.

    In MAP@R and in the first Recall@K.
    """
    found: dict[str, float] = {}
    for metric in ("map@r", model.names[0]):
        gain = paired_difference(model, untrained, metric)
        name = f"gain/{metric}"
        found |= {name: gain.value, f"{name}/low": gain.low, f"{name}/high": gain.high}
    return found


def changes(first: Tensor, second: Tensor, labels: Tensor, names: Sequence[str]) -> Changes:
    """Find the queries `[Q]` and classes in which two embeddings differ."""
    sets = torch.ones_like(first), first, second, second & ~first, first & ~second
    counts = [labels[one].bincount(minlength=len(names)).tolist() for one in sets]
    rows: list[dict[str, Any]] = []
    for name, total, before, after, gained, lost in zip(names, *counts, strict=True):
        if total:
            row = {"class": name, "queries": total, "first": before / total}
            row |= {"second": after / total, "difference": (after - before) / total}
            rows.append(row | {"gained": gained, "lost": lost})
    rows.sort(key=lambda row: (-row["difference"], row["lost"] - row["gained"]))
    return Changes(sets[3].nonzero()[:, 0], sets[4].nonzero()[:, 0], rows)


def standard_error(first: QueryScores, second: QueryScores, metric: str) -> float:
    """The standard error of the mean of the classes' differences; infinite for a single class."""
    sums, counts = _by_class(first, second, metric)
    if len(sums) < 2:
        return float("inf")
    return ((sums / counts).std() / len(sums) ** 0.5).item()


def _by_class(first: QueryScores, second: QueryScores, metric: str) -> tuple[Tensor, Tensor]:
    """Sum the differences of each class's queries, and count these."""
    (ours, labels), (theirs, others) = first.of(metric), second.of(metric)
    assert torch.equal(labels, others), "scores of different queries"
    classes = labels.unique(return_inverse=True)[1]
    counts = classes.bincount()
    sums = torch.zeros(len(counts), dtype=torch.float64).index_add_(0, classes, ours - theirs)
    return sums, counts.double()
