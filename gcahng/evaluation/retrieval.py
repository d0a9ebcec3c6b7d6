"""Retrieval metrics of an embedding: Recall@K, MAP@R and R-Precision by cosine similarity."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gcahng.arguments import is_integer
from gcahng.evaluation.ranking import Ranking, unit_rows

EXCLUSIONS = ("self", "first")


@dataclass(frozen=True)
class QueryScores:
    """The scores of every query, of which retrieval metrics are means, on the CPU.

    `scores` `[Q, len(ks) + 2]`, float64, are Recall@K for each K, average precision at R and
    R-Precision. Where R, `relevant` `[Q]`, is 0, the last two do not count.
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
        engine: `torch` (on the embeddings' device) or `faiss`, with equal results.
        exclude: Without `is_query`, what to remove from a query's ranking: `self`, the query; or
            `first`, the first item, as published, even if a duplicate ranks above the query.

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
    scores = query_scores(embeddings, labels, ks, is_query=is_query, engine=engine, exclude=exclude)
    return scores.means()


@torch.no_grad()
def query_scores(
    embeddings: Tensor, labels: Tensor, ks: Sequence[int] = (1, 2, 4, 8), **protocol: Any
) -> QueryScores:
    """Score every query; arguments and errors as of `retrieval_metrics`."""
    if not isinstance(ks, Sequence) or not ks or not all(is_integer(k, 1) for k in ks):
        raise ValueError(f"Expected 'ks' to hold positive integers (got {ks!r})")
    search = _Search(embeddings, **protocol)
    if labels.is_floating_point() or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"Expected 'labels' as an integer [{len(embeddings)}] tensor "
            f"(got {labels.dtype} {list(labels.shape)})"
        )
    classes = labels.to(embeddings.device).unique(return_inverse=True)[1]
    sizes = classes[search.gallery].bincount(minlength=int(classes.max()) + 1)
    relevant = sizes[classes[search.queries]] - int(search.drop is not None)
    if not relevant.any():
        raise ValueError(
            "No query has another image of its class to retrieve: check that 'labels' are class "
            "labels"
        )
    scores = torch.zeros(len(relevant), len(ks) + 2, dtype=torch.float64)
    # In order of R, so that a large class does not increase k for all queries.
    for part in relevant.argsort(descending=True).split(search.ranking.chunk):
        k = min(search.reach, max(*ks, int(relevant[part[0]])))
        rows = search.queries[part]
        found = search.gallery[search.nearest(rows, k)]
        hits = classes[found] == classes[rows][:, None]
        # On the CPU, where sums are taken in one order: the same figures from every device.
        scores[part.cpu()] = _scores(hits.cpu(), relevant[part].cpu(), ks)
    return QueryScores(labels.cpu()[search.queries.cpu()], tuple(ks), scores, relevant.cpu())


@torch.no_grad()
def nearest_neighbours(embeddings: Tensor, k: int, **protocol: Any) -> tuple[Tensor, Tensor]:
    """Return the k most similar gallery items of every query, best first, without the query.

    Other arguments and errors as of `retrieval_metrics`.

    Returns:
        Cosine similarities `[Q, k]` (float32, in [-1, 1]) and row indices into `embeddings`
        `[Q, k]`.
    """
    search = _Search(embeddings, **protocol)
    if not is_integer(k, 1) or k > search.reach:
        raise ValueError(
            f"Expected 'k' between 1 and {search.reach}, the size of the gallery (got {k})"
        )
    indices = search.nearest(search.queries, k)
    exact = search.ranking.similarities(search.units[search.queries], indices)
    return exact.float().clamp(-1, 1), search.gallery[indices]


class _Search:
    """The nearest gallery items of each query, without the query itself, by row numbers.

    `drop` is None if the gallery does not contain the queries; `reach` is how many items can be
    retrieved for a query.
    """

    def __init__(
        self,
        embeddings: Tensor,
        is_query: Tensor | None = None,
        engine: str = "torch",
        exclude: str = "self",
    ) -> None:
        check_embeddings(embeddings, is_query)
        if exclude not in EXCLUSIONS:
            raise ValueError(f"Unknown exclude '{exclude}': choose one of {', '.join(EXCLUSIONS)}")
        self.units = unit_rows(embeddings)
        self.drop = exclude if is_query is None else None
        rows = torch.arange(len(embeddings), device=embeddings.device)
        self.queries = self.gallery = rows
        if is_query is not None:
            is_query = is_query.to(embeddings.device)
            self.queries, self.gallery = rows[is_query], rows[~is_query]
        self.reach = len(self.gallery) - int(is_query is None)
        self.ranking = Ranking(self.units[self.gallery], engine)

    def nearest(self, rows: Tensor, k: int) -> Tensor:
        """Return the gallery indices `[Q, k]` of the k nearest items of rows `[Q]`."""
        if self.drop is None:
            return self.ranking.nearest(self.units[rows], k)
        indices = self.ranking.nearest(self.units[rows], k + 1)
        is_self = indices == rows[:, None]
        # If k + 1 duplicates rank above the query itself, drop the last of them instead.
        is_self[:, -1] |= ~is_self.any(dim=1)
        dropped = is_self.int().argmax(dim=1, keepdim=True) if self.drop == "self" else 0
        columns = torch.arange(k, device=rows.device).expand(len(rows), k)
        return indices.gather(1, columns + (columns >= dropped))


def _scores(hits: Tensor, relevant: Tensor, ks: Sequence[int]) -> Tensor:
    """Return Recall@K for each K, average precision at R and R-Precision `[Q, len(ks) + 2]`.

    `hits` `[Q, k]` says whether the i-th neighbour has the query's class; with R = 0 all are 0.
    """
    recalls = [hits[:, :k].any(dim=1) for k in ks]
    ranks = torch.arange(1, hits.shape[1] + 1, device=hits.device)
    within = hits & (ranks <= relevant[:, None])
    found = within.cumsum(dim=1)
    # `cumsum` adds from left to right, so the result does not depend on the columns after R.
    gains = (found.double() / ranks * within).cumsum(dim=1)
    possible = relevant.clamp(min=1).double()
    return torch.stack([*recalls, gains[:, -1] / possible, found[:, -1] / possible], dim=1)


def check_embeddings(embeddings: Tensor, is_query: Tensor | None) -> None:
    """Raise ValueError unless the embeddings and the query mask are valid."""
    if embeddings.ndim != 2 or not embeddings.is_floating_point() or not embeddings.shape[1]:
        raise ValueError(
            "Expected 'embeddings' as a floating-point [N, D] tensor "
            f"(got {embeddings.dtype} {list(embeddings.shape)})"
        )
    if len(embeddings) < 2:
        raise ValueError(f"Expected at least 2 rows of 'embeddings' (got {len(embeddings)})")
    bad = sum(int((~block.isfinite()).any(dim=1).sum()) for block in embeddings.split(4096))
    if bad:
        raise ValueError(
            f"{bad} of {len(embeddings)} rows of 'embeddings' hold NaN or infinity: "
            "check the network that produced them"
        )
    if is_query is None:
        return
    fits = is_query.dtype == torch.bool and is_query.shape == embeddings.shape[:1]
    if not fits or is_query.all() or not is_query.any():
        raise ValueError(
            f"Expected 'is_query' as a bool [{len(embeddings)}] tensor that marks some rows but "
            f"not all (got {is_query.dtype} {list(is_query.shape)}, {int(is_query.sum())} marked)"
        )
