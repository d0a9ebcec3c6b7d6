"""Retrieval class by class: recall of each class, and the classes that are confused."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from torch import Tensor

from gcahng.evaluation.checks import check_embeddings, check_labels
from gcahng.evaluation.retrieval import nearest_neighbours


@dataclass(frozen=True)
class ClassRecall:
    """How well the queries of one class find their own class.

    Attributes:
        label: The class.
        queries: Number of its queries.
        hits: How many have a nearest neighbour of their class.
        taken_for: The class that its other queries find most often; None if all are right.
        taken: How often.
    """

    label: int
    queries: int
    hits: int
    taken_for: int | None
    taken: int

    @property
    def recall(self) -> float:
        """Recall@1 of the class, in [0, 1]."""
        return self.hits / self.queries


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes of which queries of one find the other.

    Attributes:
        first: The class with the smaller label.
        second: The other one.
        first_as_second: Number of queries of the first whose nearest neighbour is of the second.
        second_as_first: The reverse.
        queries: Number of queries of both.
    """

    first: int
    second: int
    first_as_second: int
    second_as_first: int
    queries: int

    @property
    def mistakes(self) -> int:
        """Number of queries of either class that find the other."""
        return self.first_as_second + self.second_as_first

    @property
    def share(self) -> float:
        """The mistakes as a fraction of the queries of both classes."""
        return self.mistakes / self.queries


@dataclass(frozen=True)
class ClassFigures:
    """Retrieval class by class.

    Attributes:
        classes: One entry for each class with queries; the lowest recall first, then by label.
        pairs: The confused pairs; the largest share first, then most mistakes, then by label.
    """

    classes: list[ClassRecall]
    pairs: list[ConfusedPair]


def class_figures(
    embeddings: Tensor,
    labels: Tensor,
    *,
    is_query: Tensor | None = None,
    engine: str = "torch",
    exclude: str = "self",
) -> ClassFigures:
    """Compare the class of every query with that of its nearest neighbour by cosine similarity.

    The mean of the recalls, weighted by the queries, is the Recall@1 of `retrieval_metrics`.

    Args:
        embeddings: `[N, D]`, any floating dtype and device.
        labels: `[N]`, integers.
        is_query: As in `retrieval_metrics`.
        engine: As in `retrieval_metrics`.
        exclude: As in `retrieval_metrics`.

    Raises:
        ValueError: If an argument is malformed, non-finite or unknown.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.7, 0.7]])
        >>> figures = class_figures(embeddings, torch.tensor([0, 0, 1, 1]))
        >>> [(one.label, one.recall) for one in figures.classes]
        [(1, 0.5), (0, 1.0)]
        >>> figures.pairs[0].second_as_first, figures.pairs[0].share
        (1, 0.25)
    """
    check_embeddings(embeddings, is_query)
    check_labels(embeddings, labels)
    nearest = nearest_neighbours(embeddings, 1, is_query=is_query, engine=engine, exclude=exclude)
    labels = labels.cpu()
    found = labels[nearest[1][:, 0].cpu()].tolist()
    asked = (labels if is_query is None else labels[is_query.cpu()]).tolist()
    counts = Counter(zip(asked, found, strict=True))
    queries = Counter(asked)
    mistakes: dict[int, Counter[int]] = defaultdict(Counter)
    for (label, other), count in sorted(counts.items()):
        if other != label:
            mistakes[label][other] = count
    classes = []
    for label in queries:
        other, count = next(iter(mistakes[label].most_common(1)), (None, 0))
        classes.append(ClassRecall(label, queries[label], counts[label, label], other, count))
    classes.sort(key=lambda one: (one.recall, one.label))
    return ClassFigures(classes, _pairs(counts, queries))


def _pairs(counts: Counter[tuple[int, int]], queries: Counter[int]) -> list[ConfusedPair]:
    """The confused pairs, from the numbers of queries by own class and class found."""
    ordered = {(min(pair), max(pair)) for pair in counts if pair[0] != pair[1]}
    pairs = [
        ConfusedPair(a, b, counts[a, b], counts[b, a], queries[a] + queries[b]) for a, b in ordered
    ]
    return sorted(pairs, key=lambda one: (-one.share, -one.mistakes, one.first, one.second))
