"""Exact cosine ranking of a gallery, with identical results from every engine.

Rounding of floating-point products differs between matrix libraries and even between rows, so
duplicates rarely tie exactly and engines disagree on close neighbours. Therefore the components
of unit vectors are first rounded to multiples of 2⁻²⁴. Their products are multiples of 2⁻⁴⁸ and
the sums stay below 2, so float64 sums are exact: similarities do not depend on engine, device or
summation order, and duplicates tie exactly. Ties are broken by the lower index.

An engine proposes a few more neighbours than are asked for, by float32 products. They are compared
in float64, and a query whose last neighbour is too close to those left out is compared with the
whole gallery.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from gcahng.graph.precision import autocast

ENGINES = ("torch", "faiss")
GRID = 2.0**24
# Rows of `unit_rows` that a processor's cache holds.
UNIT_BLOCK = 256
# Maximum number of entries of a temporary matrix: 64 MiB in float64.
BUDGET = 2**23
# Entries compared at a time on a CPU, which its cache holds.
CACHED = 2**17
# The most neighbours that are proposed in float32; a faiss index on a GPU returns no more.
MOST_PROPOSED = 2048

# Maps queries [Q, D] and a count to similarities in descending order and indices, both [Q, count].
Search = Callable[[Tensor, int], tuple[Tensor, Tensor]]


def unit_rows(embeddings: Tensor) -> Tensor:
    """L2-normalise rows `[N, D]` and round them to multiples of 2⁻²⁴, exact in float32."""
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
    """Rank a gallery `[G, D]` of `unit_rows` by cosine similarity, ties by lower index."""

    def __init__(self, units: Tensor, engine: str = "torch") -> None:
        if engine not in ENGINES:
            raise ValueError(f"Unknown engine '{engine}': choose one of {', '.join(ENGINES)}")
        self.gallery = units
        self.search = faiss_search(units) if engine == "faiss" else torch_search(units)
        # faiss is several times slower with fewer queries per call.
        self.chunk = max(1024, BUDGET // len(units))

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        """Return the k nearest gallery rows `[Q, k]` of unit rows `[Q, D]`, best first."""
        return torch.cat([self._nearest(part, k) for part in queries.split(self.chunk)])

    def similarities(self, queries: Tensor, indices: Tensor) -> Tensor:
        """Return exact similarities `[Q, k]`, float64, of queries to gallery rows `[Q, k]`."""
        exact = queries.new_empty(indices.shape, dtype=torch.float64)
        entries = CACHED if queries.device.type == "cpu" else BUDGET
        size = max(1, entries // (indices.size(1) * queries.size(1)))
        parts = zip(queries.split(size), indices.split(size), exact.split(size), strict=True)
        for rows, chosen, out in parts:
            found = self.gallery.index_select(0, chosen.flatten()).view(*chosen.shape, -1)
            torch.sum(found * rows.double()[:, None], dim=2, out=out)
        return exact

    def _nearest(self, queries: Tensor, k: int) -> Tensor:
        gallery, count = len(self.gallery), k + 8 + k // 8
        # Comparing a row of its own takes much longer than in a product of matrices.
        if count > min(MOST_PROPOSED, gallery // 32):
            return self._nearest_of_all(queries, k)
        proposed, indices = self.search(queries, count)
        near, order = self.similarities(queries, indices).sort(dim=1, descending=True)
        indices = _break_ties(near, indices.gather(1, order))[:, :k]
        # Each product is rounded at most D times, by 2⁻²⁴ of it at most.
        error = queries.size(1) / GRID * 1.01
        unsure = near[:, k - 1] <= proposed[:, -1] + error
        if unsure.any():
            indices[unsure] = self._nearest_of_all(queries[unsure], k)
        return indices

    def _nearest_of_all(self, queries: Tensor, k: int) -> Tensor:
        """Compare with the whole gallery in float64."""
        found, count = [], min(len(self.gallery), k + 1)
        for part in queries.split(max(1, BUDGET // len(self.gallery))):
            products = _exact_products(part, self.gallery)
            near, indices = products.topk(count)
            indices = _break_ties(near, indices)
            # Rows at the end of the list may tie with some that are not in it.
            tied = near[:, k - 1] == near[:, -1]
            if count > k and tied.any():
                order = products[tied].sort(dim=1, descending=True, stable=True).indices
                indices[tied] = order[:, :count]
            found.append(indices[:, :k])
        return torch.cat(found)


def _exact_products(queries: Tensor, gallery: Tensor) -> Tensor:
    """Exact similarities [Q, G] of unit rows, in float64."""
    result = queries.new_empty(len(queries), len(gallery), dtype=torch.float64)
    queries = queries.double()
    for block, out in zip(gallery.split(4096), result.split(4096, dim=1), strict=True):
        out.copy_(queries @ block.double().T)
    return result


def _break_ties(near: Tensor, indices: Tensor) -> Tensor:
    """Order equal similarities `[Q, count]`, which are in descending order, by index."""
    tied = (near[:, :-1] == near[:, 1:]).any(dim=1)
    if tied.any():
        by_index = indices[tied].sort(dim=1)
        values = near[tied].gather(1, by_index.indices)
        order = values.sort(dim=1, descending=True, stable=True).indices
        indices[tied] = by_index.values.gather(1, order)
    return indices


@contextmanager
def _float32_products() -> Iterator[None]:
    """Compute products of float32 matrices in float32: no TF32 or bfloat16."""
    kinds: list[Any] = [torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None)]
    with ExitStack() as stack:
        for kind in kinds:
            # Before torch 2.9 they are as the program has set them.
            if hasattr(kind, "fp32_precision"):
                stack.callback(setattr, kind, "fp32_precision", kind.fp32_precision)
                kind.fp32_precision = "ieee"
        yield


def torch_search(gallery: Tensor) -> Search:
    """Search by float32 matrix products."""
    # New memory for every product would take longer than half the product.
    scores = gallery.new_empty(max(1, BUDGET // len(gallery)), len(gallery))

    def search(queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        found = []
        with autocast(gallery.device.type, enabled=False), _float32_products():
            for part in queries.split(len(scores)):
                products = torch.mm(part, gallery.T, out=scores[: len(part)])
                found.append(products.topk(count))
        values, indices = zip(*found, strict=True)
        return torch.cat(values), torch.cat(indices)

    return search


def faiss_search(gallery: Tensor) -> Search:
    """Search a flat inner-product index in float32, on the GPUs that faiss can use."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "engine='faiss' needs the package 'faiss-cpu' or 'faiss-gpu': install it or use "
            "engine='torch'"
        ) from error
    index: Any = faiss.IndexFlatIP(gallery.shape[1])
    if _faiss_gpus():
        index = faiss.index_cpu_to_all_gpus(index)
    index.add(gallery.cpu().numpy())

    def search(queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        values, indices = index.search(queries.cpu().numpy(), count)
        device = queries.device
        return torch.from_numpy(values).to(device), torch.from_numpy(indices).to(device)

    return search


def _faiss_gpus() -> int:
    """Count the GPUs that this build of faiss can use: 0 for faiss-cpu."""
    import faiss

    return faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0


def ranked_by(engine: str, device: torch.device) -> str:
    """Describe what ranks embeddings that are on a device."""
    on_gpu = _faiss_gpus() > 0 if engine == "faiss" else device.type == "cuda"
    return f"{engine} on {'the GPU' if on_gpu else 'the CPU'}"
