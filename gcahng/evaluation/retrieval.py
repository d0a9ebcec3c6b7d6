"""Retrieval metrics of an embedding: Recall@K, MAP@R and R-Precision by cosine similarity."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gcahng.evaluation.checks import check_embeddings, check_labels, check_settings
from gcahng.evaluation.ranking import Ranking, unit_rows
from gcahng.models.torch_state import usual_torch_state


@dataclass(frozen=True)
class QueryScores:
    """The scores of every query, of which retrieval metrics are means.

    Attributes:
        labels: `[Q]` class of each query, on the CPU.
        ks: The K of Recall@K.
        scores: `[Q, len(ks) + 2]` in float64 on the CPU: Recall@K for each K, average precision at
            R and R-Precision.
        relevant: `[Q]` R of each query; where it is 0, the last two scores do not count.
    """

    labels: Tensor
    ks: tuple[int, ...]
    scores: Tensor
    relevant: Tensor

    @property
    def names(self) -> list[str]:
        """The metrics, in the order of the columns of `scores`."""
        return [*(f"recall@{k}" for k in self.ks), "map@r", "r_precision"]

    def means(self) -> dict[str, float]:
        """Return the means over the queries by name; only Recall@K counts queries with R = 0."""
        recalls = self.scores[:, :-2].mean(dim=0).tolist()
        rest = self.scores[self.relevant > 0, -2:].mean(dim=0).tolist()
        return dict(zip(self.names, [*recalls, *rest], strict=True))

    def of(self, metric: str) -> tuple[Tensor, Tensor]:
        """Return the scores of one metric `[q]` and the classes `[q]` of the queries that count."""
        column = self.names.index(metric)
        counts = slice(None) if column < len(self.ks) else self.relevant > 0
        return self.scores[counts, column], self.labels[counts]


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
        \text{MAP@R} &= \text{mean}_q \; \tfrac{1}{R_q} \sum_{i \le R_q} rel_q(i) \, P_q(i)

    rel_q(i) is 1 if the i-th ranked item has the query's class, else 0; P_q(i) is its mean up to i.
    R_q is the number of other items of that class in the gallery, never truncated. A query with
    R_q = 0 is a miss in Recall@K and is not in the other two means. Ties are ranked by index.

    Args:
        embeddings: `[N, D]`, any floating dtype and device; L2-normalised internally.
        labels: `[N]`, integers.
        ks: The K of Recall@K; a K beyond the gallery size counts the whole gallery.
        is_query: Bool `[N]`: rank these against the rest, the gallery. None: all against all.
        engine: `torch` (on the embeddings' device) or `faiss` (on its GPUs if it has any), with
            equal results.
        exclude: Without `is_query`, what to remove from a query's ranking: `self`, the query; or
            `first`, the first item, as published, even if a duplicate ranks above the query.
        chunk: Number of queries ranked at once; None keeps temporaries near 64 MiB.

    Returns:
        `recall@K` for every K, `map@r` and `r_precision`, all in [0, 1].

    Raises:
        ValueError: If an argument is malformed, non-finite or unknown, or every R_q is 0.
        ImportError: If `engine` is `faiss` and faiss is not installed.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.7, 0.7]])
        >>> retrieval_metrics(embeddings, torch.tensor([0, 0, 1, 1]), ks=(1, 3))
        {'recall@1': 0.75, 'recall@3': 1.0, 'map@r': 0.75, 'r_precision': 0.75}
    """
    settings: dict[str, Any] = {"is_query": is_query, "engine": engine, "exclude": exclude}
    return query_scores(embeddings, labels, ks, **settings, chunk=chunk).means()


@usual_torch_state()
@torch.no_grad()
def query_scores(
    embeddings: Tensor,
    labels: Tensor,
    ks: Sequence[int] = (1, 2, 4, 8),
    *,
    is_query: Tensor | None = None,
    engine: str = "torch",
    exclude: str = "self",
    chunk: int | None = None,
) -> QueryScores:
    """Score every query; arguments and errors as of `retrieval_metrics`.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.7, 0.7]])
        >>> query_scores(embeddings, torch.tensor([0, 0, 1, 1]), ks=(1,)).of("recall@1")[0]
        tensor([1., 1., 1., 0.], dtype=torch.float64)
    """
    check_embeddings(embeddings, is_query)
    check_labels(embeddings, labels)
    check_settings(ks, exclude, chunk)
    classes = labels.to(embeddings.device).unique(return_inverse=True)[1]
    search = _Search(embeddings, is_query, engine, exclude)
    relevant = _count_relevant(search, classes)
    scores = _score_queries(search, classes, relevant, ks, chunk)
    return QueryScores(labels.cpu()[search.queries.cpu()], tuple(ks), scores, relevant.cpu())


@usual_torch_state()
@torch.no_grad()
def nearest_neighbours(
    embeddings: Tensor,
    k: int,
    *,
    is_query: Tensor | None = None,
    engine: str = "torch",
    exclude: str = "self",
) -> tuple[Tensor, Tensor]:
    """Return the k most similar gallery items of every query, best first, without the query.

    Args:
        embeddings: `[N, D]`, any floating dtype and device.
        k: Number of neighbours, between 1 and the size of the gallery.
        is_query: Bool `[N]`; queries are compared with all other items, the gallery. None
            compares every item with all others.
        engine: `torch` or `faiss`, with equal results.
        exclude: As in `retrieval_metrics`.

    Returns:
        Cosine similarities `[Q, k]` (float32, in [-1, 1]) and row indices into `embeddings`
        `[Q, k]`.

    Raises:
        ValueError: If an input is malformed, non-finite or unknown, or `k` is out of range.
        ImportError: If `engine` is `faiss` and faiss is not installed.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> similarities, indices = nearest_neighbours(embeddings, k=1)
        >>> indices.flatten().tolist()
        [1, 0, 1]
        >>> similarities.flatten()
        tensor([0.8000, 0.8000, 0.6000])
    """
    check_embeddings(embeddings, is_query)
    check_settings((k,), exclude, None)
    search = _Search(embeddings, is_query, engine, exclude)
    if not 1 <= k <= search.reach:
        raise ValueError(
            f"Expected 'k' between 1 and {search.reach}, the size of the gallery (got {k})"
        )
    parts = search.queries.split(search.ranking.chunk(k))
    indices = torch.cat([search.nearest(rows, k) for rows in parts])
    exact = search.ranking.similarities(search.units[search.queries], indices)
    return exact.float().clamp(-1, 1), search.gallery[indices]


class _Search:
    """The nearest gallery items of each query, without the query itself.

    Args:
        embeddings: All embeddings `[N, D]`.
        is_query: As in `retrieval_metrics`.
        engine: As in `retrieval_metrics`.
        exclude: As in `retrieval_metrics`.

    Attributes:
        units: All embeddings `[N, D]` as `unit_rows`.
        queries: Row numbers `[Q]` of the queries.
        gallery: Row numbers `[G]` of the gallery.
        ranking: The ranked gallery.
        reach: Number of items that can be retrieved for a query.
    """

    def __init__(
        self, embeddings: Tensor, is_query: Tensor | None, engine: str, exclude: str = "self"
    ) -> None:
        self.units = unit_rows(embeddings)
        rows = torch.arange(len(embeddings), device=embeddings.device)
        self.queries, self.gallery = rows, rows
        if is_query is not None:
            is_query = is_query.to(embeddings.device)
            self.queries, self.gallery = rows[is_query], rows[~is_query]
        # Without `is_query`, the gallery contains the query.
        self.drop = exclude if is_query is None else None
        self.reach = len(self.gallery) - int(is_query is None)
        self.ranking = Ranking(self.units if is_query is None else self.units[~is_query], engine)

    def nearest(
        self, rows: Tensor, k: int, ordered: int | None = None, cuts: Sequence[int] = ()
    ) -> Tensor:
        """Return the gallery indices `[Q, k]` of the k nearest items.

        Args:
            rows: Row numbers `[Q]` of some queries.
            k: Number of items, between 1 and `reach`.
            ordered: As in `Ranking.nearest`.
            cuts: As in `Ranking.nearest`.
        """
        if self.drop is None:
            return self.ranking.nearest(self.units[rows], k, ordered, cuts)
        # With and without the query, which need not be among the first.
        cuts = [k, *cuts, *(cut + 1 for cut in cuts)]
        ordered = None if ordered is None else ordered + 1
        indices = self.ranking.nearest(self.units[rows], k + 1, ordered, cuts)
        is_self = indices == rows[:, None]
        # If k + 1 duplicates rank above the query itself, drop the last of them instead.
        is_self[:, -1] |= ~is_self.any(dim=1)
        dropped = is_self.int().argmax(dim=1, keepdim=True) if self.drop == "self" else 0
        columns = torch.arange(k, device=rows.device).expand(len(rows), k)
        return indices.gather(1, columns + (columns >= dropped))


def _count_relevant(search: _Search, classes: Tensor) -> Tensor:
    """Return R `[Q]`, the number of other gallery items of each query's class.

    Args:
        search: The queries and the gallery.
        classes: Class `[N]` of every embedding, from 0 without gaps.

    Raises:
        ValueError: If every R is 0.
    """
    sizes = classes[search.gallery].bincount(minlength=int(classes.max()) + 1)
    relevant = sizes[classes[search.queries]] - int(search.drop is not None)
    if not relevant.any():
        raise ValueError(
            "No query has another image of its class to retrieve: check that 'labels' are class "
            "labels"
        )
    return relevant


def _score_queries(
    search: _Search, classes: Tensor, relevant: Tensor, ks: Sequence[int], chunk: int | None
) -> Tensor:
    """Return the scores of every query `[Q, len(ks) + 2]`, see `_scores`.

    Args:
        search: The queries and the gallery.
        classes: Class `[N]` of every embedding.
        relevant: R of each query `[Q]`.
        ks: The K of Recall@K.
        chunk: As in `retrieval_metrics`.
    """
    scores = torch.zeros(len(relevant), len(ks) + 2, dtype=torch.float64)
    # Process queries in order of R, so that a large class does not increase k for all queries.
    waiting = relevant.argsort(descending=True)
    while len(waiting):
        # Recall@K counts a match anywhere among the K nearest; only the first R need an order.
        ordered = int(relevant[waiting[0]])
        k = min(search.reach, max(*ks, ordered))
        part, waiting = waiting.tensor_split([chunk or search.ranking.chunk(k)])
        rows = search.queries[part]
        found = search.gallery[search.nearest(rows, k, ordered, ks)]
        hits = classes[found] == classes[rows][:, None]
        # On the CPU, where sums are taken in one order: the same figures from every device.
        scores[part.cpu()] = _scores(hits.cpu(), relevant[part].cpu(), ks)
    return scores


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
