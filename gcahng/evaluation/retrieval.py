"""Retrieval metrics of an embedding: Recall@K, MAP@R and R-Precision by cosine similarity."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gcahng.evaluation.ranking import BLOCK, Ranking

EXCLUSIONS = ("self", "first")


@torch.no_grad()
def retrieval_metrics(
    embeddings: Tensor,
    labels: Tensor,
    ks: Sequence[int] = (1, 2, 4, 8),
    *,
    is_query: Tensor | None = None,
    engine: str = "torch",
    exclude: str = "self",
    chunk: int | None = None,
) -> dict[str, float]:
    r"""Compute retrieval metrics from a cosine ranking of the gallery for every query.

    .. math::
        \text{Recall@}K &= \text{mean}_q \; [\exists\, i \le K : rel_q(i)] \\
        \text{R-Precision} &= \text{mean}_q \; \tfrac{1}{R_q} \sum_{i \le R_q} rel_q(i) \\
        \text{MAP@R} &= \text{mean}_q \; \tfrac{1}{R_q}
            \sum_{i \le R_q} rel_q(i) \, \text{precision}_q(i)

    rel_q(i) is 1 if the i-th ranked item has the query's class, else 0. R_q is the number of such
    items in the gallery, without the query itself, and is never truncated. A query with R_q = 0
    counts as a miss in Recall@K and is excluded from the other two means. Ties are ranked by
    index. Both engines give the same values.

    Args:
        embeddings: `[N, D]`, any floating dtype and device; L2-normalised internally.
        labels: `[N]`, integers.
        ks: The K of Recall@K; a K beyond the gallery size counts the whole gallery.
        is_query: Bool `[N]`; queries are ranked against all other items, the gallery. None ranks
            every item against all others.
        engine: `torch` (float64, on the embeddings' device) or `faiss` (flat index, CPU).
        exclude: Without `is_query`, what to remove from a query's ranking: `self` removes the
            query by index; `first` removes the first item, as the published evaluation does, even
            if a duplicate ranks above the query.
        chunk: Number of queries ranked at once; None keeps temporaries near 64 MiB.

    Returns:
        `recall@K` for every K, `map@r` and `r_precision`, all in [0, 1].

    Raises:
        ValueError: If an input is malformed or non-finite, `engine` or `exclude` is unknown, or
            every R_q is 0.
        ImportError: If `engine` is `faiss` and faiss is not installed.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.7, 0.7]])
        >>> labels = torch.tensor([0, 0, 1, 1])
        >>> retrieval_metrics(embeddings, labels, ks=(1, 3))
        {'recall@1': 0.75, 'recall@3': 1.0, 'map@r': 0.75, 'r_precision': 0.75}
    """
    _check_embeddings(embeddings, is_query)
    _check_labels(embeddings, labels)
    if not ks or min(ks) < 1:
        raise ValueError(f"Expected 'ks' to hold positive integers (got {tuple(ks)})")
    if chunk is not None and chunk < 1:
        raise ValueError(f"Expected 'chunk' to be positive (got {chunk})")
    if exclude not in EXCLUSIONS:
        raise ValueError(f"Unknown exclude '{exclude}': choose one of {', '.join(EXCLUSIONS)}")
    classes = labels.to(embeddings.device).unique(return_inverse=True)[1]
    queries, gallery = _split(embeddings, is_query)
    relevant = classes[gallery].bincount(minlength=int(classes.max()) + 1)[classes[queries]]
    relevant = relevant - int(is_query is None)
    if not relevant.any():
        raise ValueError(
            "No query has another image of its class to retrieve: check that 'labels' are class "
            "labels"
        )
    ranking = Ranking(embeddings if is_query is None else embeddings[gallery], engine)
    reach = len(gallery) - int(is_query is None)
    drop = None if is_query is not None else exclude
    scores = torch.zeros(len(queries), len(ks) + 2, dtype=torch.float64, device=embeddings.device)
    # Process queries in order of R, so that a large class does not increase k for all queries.
    waiting = relevant.argsort(descending=True)
    while len(waiting):
        k = min(reach, max(*ks, int(relevant[waiting[0]])))
        part, waiting = waiting.tensor_split([chunk or ranking.chunk(k)])
        rows = queries[part]
        indices = _nearest(ranking, embeddings, rows, k, drop)[1]
        hits = classes[gallery[indices]] == classes[rows][:, None]
        scores[part] = _scores(hits, relevant[part], ks)
    recalls = scores[:, :-2].mean(dim=0).tolist()
    average_precision, precision = scores[relevant > 0, -2:].mean(dim=0).tolist()
    named = {f"recall@{k}": recall for k, recall in zip(ks, recalls, strict=True)}
    return {**named, "map@r": average_precision, "r_precision": precision}


@torch.no_grad()
def nearest_neighbours(
    embeddings: Tensor,
    k: int,
    *,
    is_query: Tensor | None = None,
    engine: str = "torch",
) -> tuple[Tensor, Tensor]:
    """Return the k most similar gallery items of every query, best first, without the query.

    Args:
        embeddings: `[N, D]`, any floating dtype and device.
        k: Number of neighbours, between 1 and the size of the gallery.
        is_query: Bool `[N]`; queries are compared with all other items, the gallery. None
            compares every item with all others.
        engine: `torch` or `faiss`; the order is identical, similarities agree to 1e-6.

    Returns:
        Cosine similarities `[Q, k]` (float32, in [-1, 1]) and row indices into `embeddings`
        `[Q, k]`.

    Raises:
        ValueError: If an input is malformed or non-finite, or `k` is out of range.
        ImportError: If `engine` is `faiss` and faiss is not installed.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> similarities, indices = nearest_neighbours(embeddings, k=1)
        >>> indices.flatten().tolist()
        [1, 0, 1]
        >>> similarities.flatten()
        tensor([0.8000, 0.8000, 0.6000])
    """
    _check_embeddings(embeddings, is_query)
    queries, gallery = _split(embeddings, is_query)
    reach = len(gallery) - int(is_query is None)
    if not 1 <= k <= reach:
        raise ValueError(f"Expected 'k' between 1 and {reach}, the size of the gallery (got {k})")
    ranking = Ranking(embeddings if is_query is None else embeddings[gallery], engine)
    drop = "self" if is_query is None else None
    found = [
        _nearest(ranking, embeddings, rows, k, drop) for rows in queries.split(ranking.chunk(k))
    ]
    similarities = torch.cat([values for values, _ in found]).float().clamp(-1, 1)
    return similarities, gallery[torch.cat([indices for _, indices in found])]


def _nearest(
    ranking: Ranking, embeddings: Tensor, rows: Tensor, k: int, drop: str | None
) -> tuple[Tensor, Tensor]:
    """Return similarities and gallery indices `[Q, k]` of the k nearest items of the queries.

    Args:
        ranking: The ranked gallery.
        embeddings: All embeddings `[N, D]`.
        rows: Indices of the queries `[Q]` into `embeddings`.
        k: Number of neighbours.
        drop: What to remove from each ranking: `self`, `first`, or None for nothing.
    """
    if drop is None:
        return ranking.top(embeddings[rows], k)
    similarities, indices = ranking.top(embeddings[rows], k + 1)
    is_self = indices == rows[:, None]
    # If k + 1 duplicates rank above the query itself, drop the last of them instead.
    is_self[:, -1] |= ~is_self.any(dim=1)
    dropped = is_self.int().argmax(dim=1, keepdim=True) if drop == "self" else 0
    columns = torch.arange(k, device=rows.device).expand(len(rows), k)
    columns = columns + (columns >= dropped)
    return similarities.gather(1, columns), indices.gather(1, columns)


def _scores(hits: Tensor, relevant: Tensor, ks: Sequence[int]) -> Tensor:
    """Return Recall@K for each K, average precision at R and R-Precision of each query.

    Args:
        hits: Bool `[Q, k]`, whether the i-th neighbour has the query's class.
        relevant: R of each query `[Q]`; with R = 0 every score is 0.
        ks: The K of Recall@K.

    Returns:
        `[Q, len(ks) + 2]`, float64.
    """
    recalls = [hits[:, :k].any(dim=1) for k in ks]
    ranks = torch.arange(1, hits.shape[1] + 1, device=hits.device)
    within = hits & (ranks <= relevant[:, None])
    found = within.cumsum(dim=1)
    # `cumsum` adds from left to right, so the result does not depend on the columns after R.
    gains = (found.double() / ranks * within).cumsum(dim=1)
    possible = relevant.clamp(min=1).double()
    return torch.stack([*recalls, gains[:, -1] / possible, found[:, -1] / possible], dim=1)


def _split(embeddings: Tensor, is_query: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return row indices of queries and gallery; without `is_query`, both are all rows."""
    everything = torch.arange(len(embeddings), device=embeddings.device)
    if is_query is None:
        return everything, everything
    is_query = is_query.to(embeddings.device)
    return everything[is_query], everything[~is_query]


def _check_embeddings(embeddings: Tensor, is_query: Tensor | None) -> None:
    """Raise ValueError unless the embeddings and the query mask are valid."""
    if embeddings.ndim != 2 or not embeddings.is_floating_point() or not embeddings.shape[1]:
        raise ValueError(
            "Expected 'embeddings' as a floating-point [N, D] tensor "
            f"(got {embeddings.dtype} {list(embeddings.shape)})"
        )
    if len(embeddings) < 2:
        raise ValueError(f"Expected at least 2 rows of 'embeddings' (got {len(embeddings)})")
    bad = sum(int((~block.isfinite()).any(dim=1).sum()) for block in embeddings.split(BLOCK))
    if bad:
        raise ValueError(
            f"{bad} of {len(embeddings)} rows of 'embeddings' hold NaN or infinity: "
            "check the network that produced them"
        )
    if is_query is None:
        return
    if is_query.dtype != torch.bool or is_query.shape != embeddings.shape[:1]:
        raise ValueError(
            f"Expected 'is_query' as a bool [{len(embeddings)}] tensor "
            f"(got {is_query.dtype} {list(is_query.shape)})"
        )
    if is_query.all() or not is_query.any():
        raise ValueError(
            "Expected 'is_query' to mark some rows but not all (got "
            f"{int(is_query.sum())} of {len(is_query)})"
        )


def _check_labels(embeddings: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless there is one integer label per row of the embeddings."""
    if labels.is_floating_point() or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"Expected 'labels' as an integer [{len(embeddings)}] tensor "
            f"(got {labels.dtype} {list(labels.shape)})"
        )
