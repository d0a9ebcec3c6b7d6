"""Retrieval class by class: recall of each class, and the classes that are confused."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gcahng.evaluation.retrieval import check_labels, nearest_neighbours


@dataclass(frozen=True)
class ClassFigures:
    """Retrieval class by class, as rows of tables.

    Attributes:
        classes: One row for each class with queries; the lowest recall first. `class`; `queries`,
            their number; `recall@1`; `taken_for`, the class that its other queries find most
            often, and `taken`, how often, both None if all are right.
        pairs: One row for each two classes that are confused; the largest share first. `first` and
            `second`; `share` of the queries of both that find the other class; `first_as_second`,
            the number of queries of the first that find the second; `second_as_first`; `queries`
            of both.
    """

    classes: list[dict[str, Any]]
    pairs: list[dict[str, Any]]


def class_figures(
    embeddings: Tensor,
    labels: Tensor,
    names: Sequence[str] | None = None,
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
        names: Of the classes, by label; default: the labels.
        is_query: As in `retrieval_metrics`.
        engine: As in `retrieval_metrics`.
        exclude: As in `retrieval_metrics`.

    Raises:
        ValueError: If an argument is malformed, non-finite or unknown.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.7, 0.7]])
        >>> figures = class_figures(embeddings, torch.tensor([0, 0, 1, 1]))
        >>> [(row["class"], row["recall@1"]) for row in figures.classes]
        [(1, 0.5), (0, 1.0)]
        >>> figures.pairs[0]["second_as_first"], figures.pairs[0]["share"]
        (1, 0.25)
    """
    nearest = nearest_neighbours(embeddings, 1, is_query=is_query, engine=engine, exclude=exclude)
    check_labels(embeddings, labels)
    labels = labels.cpu()
    found = labels[nearest[1][:, 0].cpu()].tolist()
    asked = (labels if is_query is None else labels[is_query.cpu()]).tolist()
    counts, queries = Counter(zip(asked, found, strict=True)), Counter(asked)

    def name(label: int) -> Any:
        return label if names is None else names[label]

    classes, pairs = [], []
    for label, total in queries.items():
        wrong = [(-n, other) for (own, other), n in counts.items() if own == label != other]
        taken, other = min(wrong, default=(None, None))
        row = {"class": name(label), "queries": total, "recall@1": counts[label, label] / total}
        row |= {"taken_for": None if other is None else name(other), "taken": taken and -taken}
        classes.append((row["recall@1"], label, row))
    for a, b in {(min(pair), max(pair)) for pair in counts if pair[0] != pair[1]}:
        mistakes, total = counts[a, b] + counts[b, a], queries[a] + queries[b]
        row = {"first": name(a), "second": name(b), "share": mistakes / total, "queries": total}
        row |= {"first_as_second": counts[a, b], "second_as_first": counts[b, a]}
        pairs.append((-mistakes / total, -mistakes, a, b, row))
    return ClassFigures([row for *_, row in sorted(classes)], [row for *_, row in sorted(pairs)])
