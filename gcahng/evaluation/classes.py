"""Retrieval class by class."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gcahng.evaluation.retrieval import check_labels, nearest_neighbours


@dataclass(frozen=True)
class ClassFigures:
    """Retrieval class by class, as rows of tables.

    `classes` has one row for each class with queries, the lowest recall first: `class`; `queries`,
    their number; `recall@1`; `taken_for`, the class that its other queries find most often, and
    `taken`, how often, both None if all are right. `pairs` has one row for each two classes that
    are confused, the largest share first: `first` and `second`; `share` of the queries of both that
    find the other class; `first_as_second` and `second_as_first`, how many do; `queries` of both.
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

    The mean of the recalls, weighted by the queries, is the Recall@1 of `retrieval_metrics`, which
    explains the arguments; `names` are of the classes, by label.
    """
    nearest = nearest_neighbours(embeddings, 1, is_query=is_query, engine=engine, exclude=exclude)
    check_labels(embeddings, labels)
    labels = labels.cpu()
    asked = labels if is_query is None else labels[is_query.cpu()]
    found = labels[nearest[1][:, 0].cpu()]
    queries = Counter(asked.tolist())
    counts = Counter(zip(asked.tolist(), found.tolist(), strict=True))

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
