"""Exact cosine ranking of a gallery, with identical results from every engine.

Rounding of floating-point products differs between matrix libraries and even between rows, so
duplicates rarely tie exactly and engines disagree on close neighbours. Therefore the components
of unit vectors are first rounded to multiples of 2⁻²⁴. Their products are multiples of 2⁻⁴⁸ and
the sums stay below 2, so float64 sums are exact: similarities do not depend on engine, device or
summation order, and duplicates tie exactly. Ties are broken by the lower index.

Exact products of all pairs are not needed for this. An engine finds candidates in float32, whose
error has a proven bound ε; only candidates within 2ε of each other are compared again in float64.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from gcahng.evaluation.engines import (
    BUDGET,
    ENGINES,
    PAIR_COST,
    error_bound,
    exact_similarities,
)

GRID = 2.0**24
# Rows of `unit_rows` that a processor's cache holds.
UNIT_BLOCK = 256
# faiss is several times slower with fewer queries per call.
CHUNK = 1024


def unit_rows(embeddings: Tensor) -> Tensor:
    """L2-normalise rows and round to multiples of 2⁻²⁴, which float32 represents exactly.

    Args:
        embeddings: `[N, D]`, any floating dtype; zero rows stay zero.

    Returns:
        `[N, D]` float32, with components in [-1, 1].

    Example:
        >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    units = embeddings.new_empty(embeddings.shape, dtype=torch.float32)
    for block, out in zip(embeddings.split(UNIT_BLOCK), units.split(UNIT_BLOCK), strict=True):
        # Divide by the largest component first, so that squares neither overflow nor underflow.
        rows = block.detach().to(torch.float64, copy=True)
        rows /= rows.abs().amax(dim=1, keepdim=True).clamp_(min=1e-300)
        rows /= rows.norm(dim=1, keepdim=True).clamp_(min=1e-300)
        out.copy_(rows.mul_(GRID).round_().div_(GRID))
    return units


def rankable(embeddings: Tensor) -> Tensor:
    """Return embeddings on a device that has float64, which Apple's GPUs lack."""
    return embeddings.cpu() if embeddings.device.type == "mps" else embeddings


class Ranking:
    """Rank a gallery by cosine similarity to queries, ties by lower index.

    The engine returns slightly more candidates than requested, with similarities whose error is at
    most ε. The k nearest have at least the k-th largest of these minus 2ε, so none is missing if
    the last candidate lies below that; otherwise the whole gallery is sorted for that query.
    Candidates closer to each other than 2ε are compared again exactly.

    Args:
        units: The gallery `[G, D]`, from `unit_rows`.
        engine: A key of `ENGINES`.

    Raises:
        ValueError: If the engine is unknown.
        ImportError: If `engine` is `faiss` and faiss is not installed.

    Example:
        >>> units = unit_rows(torch.tensor([[1.0, 0.0], [0.8, 0.6], [1.0, 0.0]]))
        >>> Ranking(units).nearest(units[:2], 2)
        tensor([[0, 2],
                [1, 0]])
    """

    def __init__(self, units: Tensor, engine: str = "torch") -> None:
        if engine not in ENGINES:
            raise ValueError(f"Unknown engine '{engine}': choose one of {', '.join(ENGINES)}")
        self.gallery = units
        self.search = ENGINES[engine](units)
        self.slack = 2 * error_bound(units.shape[1])
        # Number of queries for which all similarities to the gallery fit into the budget.
        self.rows = max(1, BUDGET // len(units))

    def chunk(self, k: int) -> int:
        """Return an efficient number of queries per call of `nearest` for k neighbours each."""
        return max(self.rows, min(CHUNK, BUDGET // (4 * k)))

    def nearest(
        self, queries: Tensor, k: int, ordered: int | None = None, cuts: Sequence[int] = ()
    ) -> Tensor:
        """Return the k nearest gallery rows of each query, best first.

        Args:
            queries: `[Q, D]`, from `unit_rows`.
            k: Between 1 and G.
            ordered: How many to put in exact order; default: all. Beyond these, close neighbours
                may be exchanged, but the first k are the k nearest.
            cuts: Further numbers c such that the first c are the c nearest.

        Returns:
            Gallery indices `[Q, k]`, the same from every engine.
        """
        ordered = k if ordered is None else max(1, min(k, ordered))
        count = min(len(self.gallery), k + 8 + k // 8)
        near, indices, exact = self.search(queries, count)
        slack = 0.0 if exact else self.slack
        close = _close(near, slack, ordered, {c for c in (*cuts, k) if ordered < c <= k})
        if count < len(self.gallery):
            open_ended = near[:, k - 1] - near[:, -1] <= slack
            close &= ~open_ended[:, None]
        if not exact:
            self._compare(queries, near, indices, close)
        indices = _sort(near, indices, close)[:, :k]
        if count < len(self.gallery) and open_ended.any():
            for rows in open_ended.nonzero()[:, 0].split(self.rows):
                similarities = exact_similarities(queries[rows], self.gallery)
                order = similarities.sort(dim=1, descending=True, stable=True).indices
                indices[rows] = order[:, :k]
        return indices

    def similarities(self, queries: Tensor, indices: Tensor) -> Tensor:
        """Return exact similarities `[Q, k]`, float64, of queries to gallery rows `[Q, k]`."""
        rows = torch.arange(len(queries), device=queries.device).repeat_interleave(indices.size(1))
        return self._pairs(queries, rows, indices.flatten()).view(indices.shape)

    def _compare(self, queries: Tensor, near: Tensor, indices: Tensor, close: Tensor) -> None:
        """Replace the similarities `near` of close candidates by exact ones."""
        rows, columns = close.nonzero(as_tuple=True)
        if PAIR_COST * len(rows) <= len(queries) * len(self.gallery):
            near[rows, columns] = self._pairs(queries, rows, indices[rows, columns])
            return
        for part in torch.arange(len(queries), device=queries.device).split(self.rows):
            exact = exact_similarities(queries[part], self.gallery)
            near[part] = exact.gather(1, indices[part])

    def _pairs(self, queries: Tensor, rows: Tensor, indices: Tensor) -> Tensor:
        """Return exact similarities `[pairs]` of the pairs (queries[rows], gallery[indices])."""
        exact = queries.new_empty(len(rows), dtype=torch.float64)
        queries = queries.double()
        # On the CPU, chunks are too small for torch to use several threads: on a busy machine,
        # synchronising them costs far more than the sums. All write into one result tensor,
        # because many small tensors between large temporaries fragment the heap by gigabytes.
        entries = 2**14 if queries.device.type == "cpu" else BUDGET // 2
        size = max(1, entries // queries.shape[1])
        parts = zip(rows.split(size), indices.split(size), exact.split(size), strict=True)
        for row, index, out in parts:
            products = queries.index_select(0, row).mul_(self.gallery.index_select(0, index))
            torch.sum(products, dim=1, out=out)
        return exact


def _close(near: Tensor, slack: float, ordered: int, cuts: Iterable[int]) -> Tensor:
    """Which candidates have to be compared exactly.

    Args:
        near: Similarities `[Q, count]` in descending order.
        slack: Twice their largest error.
        ordered: As in `Ranking.nearest`.
        cuts: As in `Ranking.nearest`, above `ordered`.
    """
    possible = near >= near[:, ordered - 1 : ordered] - slack
    tied = (near[:, :-1] - near[:, 1:] <= slack) & possible[:, 1:]
    close = pad(tied, (1, 0)) | pad(tied, (0, 1))
    for cut in cuts:
        if cut < near.size(1):
            # The c-th largest exact similarity differs from the c-th here by at most the error.
            window = (near - near[:, cut - 1 : cut]).abs() <= slack
            close |= window & (near[:, cut - 1 : cut] - near[:, cut : cut + 1] <= slack)
    return close


def _sort(near: Tensor, indices: Tensor, close: Tensor) -> Tensor:
    """Sort rows with close candidates by similarity, equal ones by index."""
    unsettled = close.any(dim=1)
    values, order = near[unsettled].sort(dim=1, descending=True, stable=True)
    found = indices[unsettled].gather(1, order)
    equal = (values[:, :-1] == values[:, 1:]).any(dim=1)
    if equal.any():
        by_index = found[equal].sort(dim=1)
        again = values[equal].gather(1, by_index.indices)
        order = again.sort(dim=1, descending=True, stable=True).indices
        found[equal] = by_index.values.gather(1, order)
    indices[unsettled] = found
    return indices
