"""Figures of other papers: NMI and AMI of a clustering, and precision@1."""

from collections import Counter
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from gcahng.evaluation.ranking import unit_rows
from gcahng.evaluation.retrieval import check_embeddings, check_labels, nearest_neighbours


def clustering_figures(
    embeddings: Tensor,
    labels: Tensor,
    *,
    is_query: Tensor | None = None,
    engine: str = "torch",
    exclude: str = "self",
    seed: int = 0,
) -> dict[str, float]:
    """Compare the classes with a clustering by k-means, and with the nearest neighbours.

    The unit embeddings of the queries are clustered into as many clusters as they have classes.
    The mutual information of clusters and classes is divided by the arithmetic mean of their
    entropies (NMI), after subtracting what random clusters of the same sizes share (AMI). The
    definitions are those of pytorch-metric-learning: precision@1 is Recall@1, but leaves out
    queries whose class has no other image in the gallery.

    Args:
        embeddings: `[N, D]`, any floating dtype and device.
        labels: `[N]`, integers.
        is_query: As in `retrieval_metrics`.
        engine: As in `retrieval_metrics`.
        exclude: As in `retrieval_metrics`.
        seed: Of the first centres of k-means.

    Returns:
        `nmi`, `ami` and `precision@1`.

    Raises:
        ValueError: If an argument is malformed, non-finite or unknown, there are fewer than two
            classes, or no query has another image of its class to retrieve.

    Example:
        >>> import torch
        >>> embeddings = torch.eye(2).repeat_interleave(3, dim=0)
        >>> clustering_figures(embeddings, torch.tensor([0, 0, 0, 1, 1, 1]))
        {'nmi': 1.0, 'ami': 1.0, 'precision@1': 1.0}
    """
    from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

    check_embeddings(embeddings, is_query)
    check_labels(embeddings, labels)
    labels = labels.cpu()
    is_query = None if is_query is None else is_query.cpu()
    asked = labels if is_query is None else labels[is_query]
    if len(asked.unique()) < 2:
        raise ValueError("NMI and AMI need queries of at least 2 classes, but all are of one")
    gallery = labels if is_query is None else labels[~is_query]
    available = Counter(gallery.tolist())
    itself = int(is_query is None)
    findable = torch.tensor([available[label] > itself for label in asked.tolist()])
    if not findable.any():
        raise ValueError("No query has another image of its class to retrieve")
    nearest = nearest_neighbours(embeddings, 1, is_query=is_query, engine=engine, exclude=exclude)
    right = labels[nearest[1][:, 0].cpu()] == asked
    queries = embeddings if is_query is None else embeddings[is_query.to(embeddings.device)]
    clusters = k_means(unit_rows(queries), len(asked.unique()), seed)
    return {
        "nmi": float(normalized_mutual_info_score(asked.numpy(), clusters)),
        "ami": float(adjusted_mutual_info_score(asked.numpy(), clusters)),
        "precision@1": float(right[findable].double().mean()),
    }


def k_means(rows: Tensor, clusters: int, seed: int = 0) -> NDArray[Any]:
    """Cluster rows `[N, D]`, and return the number of the cluster of each, `[N]`."""
    from sklearn.cluster import KMeans

    return KMeans(clusters, n_init=1, random_state=seed).fit_predict(rows.cpu().numpy())
