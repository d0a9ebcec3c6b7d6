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
    r"""Rank the gallery for every query and measure how well its own class comes first.

    .. math::
        \text{Recall@}K &= \text{mean}_q \; [\exists\, i \le K : rel_q(i)] \\
        \text{R-Precision} &= \text{mean}_q \; \tfrac{1}{R_q} \sum_{i \le R_q} rel_q(i) \\
        \text{MAP@R} &= \text{mean}_q \; \tfrac{1}{R_q}
            \sum_{i \le R_q} rel_q(i) \, \text{precision}_q(i)

    R_q is the number of items of the query's class that could be found: all but the query itself
    when all are ranked against all, those in the gallery otherwise. R_q is never truncated. A query
    with R_q = 0 is a miss in Recall@K and is left out of the other two means. Equally similar
    items are ranked by index. Both engines give the same figures.

    Args:
        embeddings: [N, D], any floating dtype and device, normalised inside.
        labels: [N], integers.
        ks: the K of Recall@K; a K beyond the gallery counts the whole gallery.
        is_query: bool [N]; its queries are ranked against the other items, and nothing is dropped.
            ``None`` ranks all against all.
        engine: ``torch`` (float64, on the embeddings' device) or ``faiss`` (flat index, CPU).
        exclude: all against all, what is dropped as the query itself: ``self`` drops it by index;
            ``first`` drops whatever ranks first, as the published evaluation does, even where a
            duplicate image ranks above the query.
        chunk: queries ranked at a time; by default as many as keep temporaries near 64 MiB.

    Returns:
        ``recall@K`` for every K, ``map@r`` and ``r_precision``, all in [0, 1].

    Raises:
        ValueError: malformed or non-finite input, unknown ``engine`` or ``exclude``, or no query
            with anything to find.
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
            "No query has another image of its class to find: check that 'labels' are class labels"
        )
    ranking = Ranking(embeddings if is_query is None else embeddings[gallery], engine)
    reach = len(gallery) - int(is_query is None)
    drop = None if is_query is not None else exclude
    scores = torch.zeros(len(queries), len(ks) + 2, dtype=torch.float64, device=embeddings.device)
    # In order of R, so that one large class does not widen every ranking.
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
    """Return the k most similar items of every query, best first, never the query itself.

    Args:
        embeddings: [N, D], any floating dtype and device.
        k: neighbours for each query, at most the size of its gallery.
        is_query: bool [N]; ``None`` takes every item as a query against all others.
        engine: ``torch`` or ``faiss``; the order is the same, similarities agree to 1e-6.

    Returns:
        Cosine similarities [Q, k] (float32, in [-1, 1]) and row numbers in ``embeddings`` [Q, k].

    Raises:
        ValueError: malformed or non-finite input, or more neighbours asked for than there are.
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
    """The k nearest of the queries at ``rows``: similarities and gallery indices, [Q, k]."""
    if drop is None:
        return ranking.top(embeddings[rows], k)
    similarities, indices = ranking.top(embeddings[rows], k + 1)
    is_self = indices == rows[:, None]
    # A query missing from its own neighbours has k + 1 duplicates above it: drop the last of them.
    is_self[:, -1] |= ~is_self.any(dim=1)
    dropped = is_self.int().argmax(dim=1, keepdim=True) if drop == "self" else 0
    columns = torch.arange(k, device=rows.device).expand(len(rows), k)
    columns = columns + (columns >= dropped)
    return similarities.gather(1, columns), indices.gather(1, columns)


def _scores(hits: Tensor, relevant: Tensor, ks: Sequence[int]) -> Tensor:
    """Recall@K for each K, average precision and R-Precision of single queries.

    Args:
        hits: whether the i-th neighbour is of the query's class, bool [Q, k].
        relevant: R of each query, [Q]; with R = 0 every score is 0.
        ks: the K of Recall@K.

    Returns:
        [Q, len(ks) + 2] in float64.
    """
    recalls = [hits[:, :k].any(dim=1) for k in ks]
    ranks = torch.arange(1, hits.shape[1] + 1, device=hits.device)
    within = hits & (ranks <= relevant[:, None])
    found = within.cumsum(dim=1)
    # A running sum adds from left to right: the same figure however many columns follow R.
    gains = (found.double() / ranks * within).cumsum(dim=1)
    possible = relevant.clamp(min=1).double()
    return torch.stack([*recalls, gains[:, -1] / possible, found[:, -1] / possible], dim=1)


def _split(embeddings: Tensor, is_query: Tensor | None) -> tuple[Tensor, Tensor]:
    """Row numbers of the queries and of the gallery; both are all rows without ``is_query``."""
    everything = torch.arange(len(embeddings), device=embeddings.device)
    if is_query is None:
        return everything, everything
    is_query = is_query.to(embeddings.device)
    return everything[is_query], everything[~is_query]


def _check_embeddings(embeddings: Tensor, is_query: Tensor | None) -> None:
    """Raise ValueError unless the embeddings and the query mask can be ranked."""
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
            "check the network that made them"
        )
    if is_query is None:
        return
    if is_query.dtype != torch.bool or is_query.shape != embeddings.shape[:1]:
        raise ValueError(
            f"Expected 'is_query' as a bool [{len(embeddings)}] tensor "
            f"(got {is_query.dtype} {list(is_query.shape)})"
        )
    if is_query.all() or not is_query.any():
        raise ValueError("Expected 'is_query' to leave both queries and a gallery (all are equal)")


def _check_labels(embeddings: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless there is one integer label for each row of the embeddings."""
    if labels.is_floating_point() or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"Expected 'labels' as an integer [{len(embeddings)}] tensor "
            f"(got {labels.dtype} {list(labels.shape)})"
        )
