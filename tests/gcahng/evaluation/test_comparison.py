import numpy as np
import pytest
import torch
from scipy.stats import bootstrap
from torch import Tensor

from gcahng.evaluation.comparison import changes, paired_difference, standard_error
from gcahng.evaluation.retrieval import QueryScores, query_scores, retrieval_metrics

CLASSES, EACH = 30, 4


def scores(noise: float, seed: int = 0, shift: int = 0) -> QueryScores:
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(CLASSES).repeat_interleave(EACH)
    centres = torch.randn(CLASSES, 6, generator=generator)
    generator.manual_seed(seed)
    z = centres[labels] + noise * torch.randn(len(labels), 6, generator=generator)
    return query_scores(z, labels + shift)


def differences(first: QueryScores, second: QueryScores, metric: str) -> Tensor:
    """The mean difference of each class, by a loop."""
    column = first.names.index(metric)
    gap = (first.scores - second.scores)[:, column]
    return torch.stack([gap[first.labels == c].mean() for c in range(CLASSES)])


@pytest.mark.parametrize("metric", ["map@r", "recall@1"])
def test_interval_equals_that_of_scipys_bootstrap(metric: str) -> None:
    first, second = scores(0.5), scores(0.7, seed=1)
    found = paired_difference(first, second, metric)
    assert found.value == pytest.approx(first.means()[metric] - second.means()[metric], abs=1e-12)
    # All classes have as many queries, so the mean over queries is that over classes.
    data = differences(first, second, metric).numpy()
    theirs = bootstrap(
        (data,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(0)
    ).confidence_interval
    # Quantiles of 2,000 resamples vary by a few percent of the interval's width.
    width = theirs.high - theirs.low
    assert found.low == pytest.approx(theirs.low, abs=0.08 * width)
    assert found.high == pytest.approx(theirs.high, abs=0.08 * width)


def test_standard_error_equals_the_loop() -> None:
    first, second = scores(0.5), scores(0.7, seed=1)
    data = differences(first, second, "map@r")
    expected = data.numpy().std(ddof=1) / CLASSES**0.5
    assert standard_error(first, second, "map@r") == pytest.approx(expected, rel=1e-12)


def test_queries_without_another_image_count_in_recall_only() -> None:
    labels = torch.tensor([0, 0, 1])
    found = query_scores(torch.eye(3), labels)
    assert [len(found.of(name)[0]) for name in ("recall@1", "map@r")] == [3, 2]
    assert found.means() == retrieval_metrics(torch.eye(3), labels)
    assert standard_error(found, found, "map@r") == float("inf")


def test_changes_equal_the_loops() -> None:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(6, (80,), generator=generator) + 1  # class 0 has no query
    first, second = torch.rand(2, 80, generator=generator) < torch.tensor([[0.6], [0.7]])
    names = [f"class {label}" for label in range(8)]
    found = changes(first, second, labels, names)
    assert found.gained.tolist() == [i for i in range(80) if second[i] and not first[i]]
    assert found.lost.tolist() == [i for i in range(80) if first[i] and not second[i]]
    expected = []
    for label in range(1, 7):
        own = [i for i in range(80) if labels[i] == label]
        before, after = (sum(bool(hits[i]) for i in own) / len(own) for hits in (first, second))
        flips = [sum(i in own for i in part.tolist()) for part in found[:2]]
        counts = dict(zip(("gained", "lost"), flips, strict=True), queries=len(own))
        row = {"class": names[label], "first": before, "second": after, **counts}
        expected.append(row | {"difference": pytest.approx(after - before)})
    assert sorted(found.classes, key=lambda row: row["class"]) == expected
    gaps = [row["difference"] for row in found.classes]
    assert gaps == sorted(gaps, reverse=True)
