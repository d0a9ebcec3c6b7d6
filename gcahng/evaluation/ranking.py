"""Exact cosine ranking of a gallery, with identical results from every engine.

Rounding of floating-point products differs between matrix libraries and even between rows, so
duplicates rarely tie exactly and engines disagree on close neighbours. Therefore the components
of unit vectors are first rounded to multiples of 2⁻²⁴. Their products are multiples of 2⁻⁴⁸ and
the sums stay below 2, so float64 sums are exact: similarities do not depend on engine, device or
summation order, and duplicates tie exactly. Ties are broken by the lower index.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

GRID = 2.0**24
BLOCK = 4096
# Maximum number of entries of a temporary matrix: 64 MiB in float64.
BUDGET = 2**23
# faiss is several times slower with fewer queries per call.
FAISS_CHUNK = 1024
# The most neighbours that an index on a GPU returns; more are searched on the CPU.
FAISS_GPU_NEIGHBOURS = 2048

Search = Callable[[Tensor, int], tuple[Tensor, Tensor]]


def unit_rows(embeddings: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """L2-normalise rows and round to multiples of 2⁻²⁴, which float32 represents exactly.

    Args:
        embeddings: `[N, D]`, any floating dtype; zero rows stay zero.
        dtype: float32 or float64.

    Returns:
        `[N, D]` with components in [-1, 1].
    """
    units = embeddings.new_empty(embeddings.shape, dtype=dtype)
    for block, out in zip(embeddings.split(BLOCK), units.split(BLOCK), strict=True):
        # Divide by the largest component first, so that squares neither overflow nor underflow.
        rows = block.double()
        rows = rows / rows.abs().amax(dim=1, keepdim=True).clamp(min=1e-300)
        rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-300)
        out.copy_((rows * GRID).round() / GRID)
    return units


def rankable(embeddings: Tensor) -> Tensor:
    """Return embeddings on a device that has float64: Apple's GPUs have not."""
    return embeddings.cpu() if embeddings.device.type == "mps" else embeddings


def ranked_by(engine: str, device: torch.device) -> str:
    """Describe what ranks embeddings that are on a device.

    Example:
        >>> ranked_by("torch", torch.device("cpu"))
        'torch on the CPU'
    """
    if engine == "faiss":
        import faiss

        gpus = _faiss_gpus(faiss)
        return f"faiss on {gpus} GPU{'s' * (gpus > 1)}" if gpus else "faiss on the CPU"
    return f"{engine} on {'the GPU' if device.type == 'cuda' else 'the CPU'}"


def _faiss_gpus(faiss: Any) -> int:
    """Number of GPUs that this build of faiss can use: 0 for faiss-cpu."""
    count = getattr(faiss, "get_num_gpus", None)
    return count() if count is not None else 0


def _torch_search(gallery: Tensor) -> Search:
    """Search by float64 matrix product, which is exact and unaffected by TF32 and autocast."""

    def search(queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        similarities, indices = (queries @ gallery.T).topk(count)
        return similarities, indices

    return search


def _faiss_search(gallery: Tensor) -> Search:
    """Search a flat inner-product index in float32, on the GPUs that faiss can use."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "engine='faiss' needs the package 'faiss-cpu' or 'faiss-gpu': install it or use "
            "engine='torch'"
        ) from error
    index = faiss.IndexFlatIP(gallery.shape[1])
    for block in gallery.split(BLOCK):
        index.add(block.cpu().numpy())

    fast = faiss.index_cpu_to_all_gpus(index) if _faiss_gpus(faiss) else index

    def search(queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        chosen = fast if count <= FAISS_GPU_NEIGHBOURS else index
        similarities, indices = chosen.search(queries.float().cpu().numpy(), count)
        device = queries.device
        return torch.from_numpy(similarities).to(device), torch.from_numpy(indices).to(device)

    return search


# For each engine: function that builds the search, dtype of the gallery, and whether the returned
# similarities are exact.
ENGINES: dict[str, tuple[Callable[[Tensor], Search], torch.dtype, bool]] = {
    "torch": (_torch_search, torch.float64, True),
    "faiss": (_faiss_search, torch.float32, False),
}


class Ranking:
    """Rank a gallery by cosine similarity to queries, ties by lower index.

    The engine returns slightly more candidates than requested. Candidates closer to each other
    than its rounding error are compared again exactly. If such a group extends to the last
    candidate, an equal item may be missing, and the whole gallery is sorted for that query.

    Args:
        embeddings: The gallery `[G, D]`, any floating dtype.
        engine: A key of `ENGINES`.

    Raises:
        ValueError: If the engine is unknown.
        ImportError: If `engine` is `faiss` and faiss is not installed.
    """

    def __init__(self, embeddings: Tensor, engine: str = "torch") -> None:
        if engine not in ENGINES:
            raise ValueError(f"Unknown engine '{engine}': choose one of {', '.join(ENGINES)}")
        build, dtype, exact = ENGINES[engine]
        self.gallery = unit_rows(embeddings, dtype)
        self.search = build(self.gallery)
        # Twice the rounding error of a float32 inner product of unit vectors. The bound is D·2⁻²⁴,
        # but errors grow like √D·2⁻²⁴; in measurements they stayed below a third of 4√D·2⁻²⁴.
        width = embeddings.shape[1]
        self.slack = 0.0 if exact else 2.0 * min(width, 4.0 * width**0.5) / GRID
        # Number of queries for which all similarities to the gallery fit into the budget.
        self.rows = max(1, BUDGET // len(embeddings))
        self.exact = exact

    def chunk(self, k: int) -> int:
        """Return an efficient number of queries per call of `top` for k neighbours each."""
        if self.exact:
            return self.rows
        return max(self.rows, min(FAISS_CHUNK, BUDGET // (4 * k)))

    def top(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the k nearest gallery rows of each query, best first.

        Args:
            queries: Embeddings `[Q, D]`, any floating dtype.
            k: Between 1 and G.

        Returns:
            Cosine similarities `[Q, k]` (float64, but with the engine's accuracy) and gallery
            indices `[Q, k]`, in the same order from every engine.
        """
        queries = unit_rows(queries)
        proposed = min(len(self.gallery), k + 8 + k // 8)
        similarities, indices = self.search(queries, proposed)
        similarities = similarities.double()
        open_ended = similarities[:, k - 1] - similarities[:, -1] <= self.slack
        similarities, indices = self._settle(queries, similarities, indices)
        similarities, indices = similarities[:, :k], indices[:, :k]
        if proposed < len(self.gallery) and open_ended.any():
            for rows in open_ended.nonzero()[:, 0].split(self.rows):
                order = self._similarities(queries[rows]).sort(dim=1, descending=True, stable=True)
                similarities[rows], indices[rows] = order.values[:, :k], order.indices[:, :k]
        return similarities, indices

    def _settle(self, queries: Tensor, near: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Recompute similarities of close candidates exactly and sort each row."""
        tied = near[:, :-1] - near[:, 1:] <= self.slack
        close = pad(tied, (1, 0)) | pad(tied, (0, 1))
        rows, columns = close.nonzero(as_tuple=True)
        if not len(rows):
            return near, indices
        # A similarity computed individually costs about 30 times as much as in a matrix product.
        if not self.exact and 30 * len(rows) > len(queries) * len(self.gallery):
            parts = zip(queries.split(self.rows), indices.split(self.rows), strict=True)
            near = torch.cat([self._similarities(q).gather(1, i) for q, i in parts])
        elif not self.exact:
            near[rows, columns] = self._pairs(queries, rows, indices[rows, columns])
        unsettled = close.any(dim=1)
        by_index = indices[unsettled].sort(dim=1)
        values = near[unsettled].gather(1, by_index.indices)
        values, order = values.sort(dim=1, descending=True, stable=True)
        near[unsettled], indices[unsettled] = values, by_index.values.gather(1, order)
        return near, indices

    def _similarities(self, queries: Tensor) -> Tensor:
        """Return exact similarities `[Q, G]` of queries `[Q, D]` to the whole gallery."""
        result = queries.new_empty(len(queries), len(self.gallery))
        for block, out in zip(self.gallery.split(BLOCK), result.split(BLOCK, dim=1), strict=True):
            out.copy_(queries @ block.double().T)
        return result

    def _pairs(self, queries: Tensor, rows: Tensor, indices: Tensor) -> Tensor:
        """Return exact similarities `[pairs]` of the pairs (queries[rows], gallery[indices])."""
        exact = queries.new_empty(len(rows))
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
