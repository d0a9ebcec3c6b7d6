"""Retrieval class by class, and figures of other papers: NMI, AMI and precision@1."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from gcahng.evaluation.ranking import unit_rows
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
    asked, found = _classes(embeddings, labels, is_query, engine, exclude)
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


def clustering_figures(
    embeddings: Tensor,
    labels: Tensor,
    *,
    is_query: Tensor | None = None,
    engine: str = "torch",
    exclude: str = "self",
    seed: int = 0,
) -> dict[str, float]:
    """Compare the classes with a clustering by k-means (NMI, AMI), and with nearest neighbours.

    The unit embeddings of the queries are clustered into as many clusters as they have classes.
    The definitions are those of pytorch-metric-learning: NMI and AMI by the arithmetic mean;
    precision@1 is Recall@1, but leaves out queries whose class has no other image in the gallery.
    Arguments as of `retrieval_metrics`; `seed` is of k-means.

    Raises:
        ValueError: If there are fewer than two classes, or no query can find its class.
    """
    from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

    asked, found = _classes(embeddings, labels, is_query, engine, exclude)
    if len(asked.unique()) < 2:
        raise ValueError("NMI and AMI need queries of at least 2 classes, but all are of one")
    gallery = labels if is_query is None else labels[~is_query.to(labels.device)]
    available = Counter(gallery.tolist())
    itself = int(is_query is None)
    findable = torch.tensor([available[label] > itself for label in asked.tolist()])
    if not findable.any():
        raise ValueError("No query has another image of its class to retrieve")
    queries = embeddings if is_query is None else embeddings[is_query.to(embeddings.device)]
    clusters = k_means(unit_rows(queries), len(asked.unique()), seed)
    return {
        "nmi": float(normalized_mutual_info_score(asked.numpy(), clusters)),
        "ami": float(adjusted_mutual_info_score(asked.numpy(), clusters)),
        "precision@1": float((found == asked)[findable].double().mean()),
    }


def k_means(rows: Tensor, clusters: int, seed: int = 0) -> NDArray[Any]:
    """Cluster rows `[N, D]`, and return the number of the cluster of each, `[N]`."""
    from sklearn.cluster import KMeans

    return KMeans(clusters, n_init=1, random_state=seed).fit_predict(rows.cpu().numpy())


def _classes(
    embeddings: Tensor, labels: Tensor, is_query: Tensor | None, engine: str, exclude: str
) -> tuple[Tensor, Tensor]:
    """The class of every query and that of its nearest neighbour, on the CPU."""
    nearest = nearest_neighbours(embeddings, 1, is_query=is_query, engine=engine, exclude=exclude)
    check_labels(embeddings, labels)
    labels = labels.cpu()
    return labels if is_query is None else labels[is_query.cpu()], labels[nearest[1][:, 0].cpu()]
