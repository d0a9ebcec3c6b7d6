"""Search a gallery of unit rows for nearest neighbours in float32, within a proven error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gcahng.graph.precision import autocast
from gcahng.models.torch_state import float32_products

BLOCK = 4096
# Maximum number of entries of a temporary matrix: 64 MiB in float64.
BUDGET = 2**23
# A similarity computed individually costs about this many times as much as in a matrix product.
PAIR_COST = 64
# Sizes of the groups of columns in `largest`; outside of this range it gains nothing.
SMALLEST_GROUP, LARGEST_GROUP = 4, 12
# The most neighbours that an index on a GPU returns; more are searched on the CPU.
FAISS_GPU_NEIGHBOURS = 2048

# Maps queries [Q, D] and a count to similarities in descending order and indices, both [Q, count],
# and whether the similarities are exact.
Search = Callable[[Tensor, int], tuple[Tensor, Tensor, bool]]


def error_bound(width: int) -> float:
    r"""Bound of the rounding error of an inner product of unit vectors in float32.

    In any order of summation, with or without fused multiply-add, each product passes through at
    most D roundings, each by a factor 1 + δ with |δ| ≤ u = 2⁻²⁴. So the error is at most

    .. math:: \frac{D u}{1 - D u} \sum_i |x_i y_i| \le \frac{D u}{1 - D u} \|x\| \, \|y\|

    and the norms of `unit_rows` exceed 1 by at most √D·2⁻²⁵. Products of multiples of 2⁻²⁴ do not
    underflow.

    Args:
        width: D.

    Example:
        >>> f"{error_bound(512):.2e}"
        '3.05e-05'
    """
    relative = width * 2.0**-24
    norm = 1 + width**0.5 * 2.0**-25
    return relative / (1 - relative) * norm**2


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Context manager: no TF32, bfloat16 or autocast in float32 matrix products."""
    with autocast(device.type, enabled=False), float32_products():
        yield


def largest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` largest entries of each row in descending order, and their columns.

    As `topk`, but faster for many columns: the columns are divided into groups, and the groups with
    the `count` largest maxima contain the largest entries.

    Args:
        scores: [Q, N].
        count: Between 1 and N.

    Example:
        >>> largest(torch.tensor([[0.1, 0.4, 0.2, 0.3]]), 2)
        (tensor([[0.4000, 0.3000]]), tensor([[1, 3]]))
    """
    columns = scores.size(1)
    size = min(LARGEST_GROUP, int((columns / (2 * count)) ** 0.5))
    if size < SMALLEST_GROUP:
        values, indices = scores.topk(count)
        return values, indices
    # Group g consists of the columns g, g + groups, g + 2·groups, …; a few columns are left over.
    groups = columns // size
    maxima = scores[:, : size * groups].unflatten(1, (size, groups)).amax(dim=1)
    best = maxima.topk(count, sorted=False).indices
    members = torch.arange(0, size * groups, groups, device=scores.device)
    rest = torch.arange(size * groups, columns, device=scores.device).expand(len(scores), -1)
    candidates = torch.cat([(best.unsqueeze(2) + members).flatten(1), rest], dim=1)
    values, order = scores.gather(1, candidates).topk(count)
    return values, candidates.gather(1, order)


def torch_search(gallery: Tensor) -> Search:
    """Search by float32 matrix products, or by exact float64 products for many neighbours."""
    rows = max(1, BUDGET // len(gallery))
    # New memory for every product would take longer than half the product.
    scores = gallery.new_empty(rows, len(gallery))

    def in_float32(queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        with full_float32(gallery.device):
            return largest(torch.mm(queries, gallery.T, out=scores[: len(queries)]), count)

    def in_float64(queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        return largest(exact_similarities(queries, gallery), count)

    def search(queries: Tensor, count: int) -> tuple[Tensor, Tensor, bool]:
        # About a tenth of the candidates are close to another and have to be compared again.
        exact = PAIR_COST * count > 10 * len(gallery)
        found = [(in_float64 if exact else in_float32)(part, count) for part in queries.split(rows)]
        similarities, indices = (torch.cat(parts) for parts in zip(*found, strict=True))
        return similarities.double(), indices, exact

    return search


def exact_similarities(queries: Tensor, gallery: Tensor) -> Tensor:
    """Exact similarities [Q, G] of unit rows, in float64."""
    result = queries.new_empty(len(queries), len(gallery), dtype=torch.float64)
    queries = queries.double()
    for block, out in zip(gallery.split(BLOCK), result.split(BLOCK, dim=1), strict=True):
        out.copy_(queries @ block.double().T)
    return result


def faiss_search(gallery: Tensor) -> Search:
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

    fast = faiss.index_cpu_to_all_gpus(index) if faiss_gpus(faiss) else index

    def search(queries: Tensor, count: int) -> tuple[Tensor, Tensor, bool]:
        chosen = fast if count <= FAISS_GPU_NEIGHBOURS else index
        similarities, indices = chosen.search(queries.cpu().numpy(), count)
        device = queries.device
        found = torch.from_numpy(similarities).to(device), torch.from_numpy(indices).to(device)
        return found[0].double(), found[1], False

    return search


def faiss_gpus(faiss: Any) -> int:
    """Number of GPUs that this build of faiss can use: 0 for faiss-cpu."""
    count = getattr(faiss, "get_num_gpus", None)
    return count() if count is not None else 0


def ranked_by(engine: str, device: torch.device) -> str:
    """Describe what ranks embeddings that are on a device.

    Example:
        >>> ranked_by("torch", torch.device("cpu"))
        'torch on the CPU'
    """
    if engine == "faiss":
        import faiss

        gpus = faiss_gpus(faiss)
        return f"faiss on {gpus} GPU{'s' * (gpus > 1)}" if gpus else "faiss on the CPU"
    return f"{engine} on {'the GPU' if device.type == 'cuda' else 'the CPU'}"


ENGINES: dict[str, Callable[[Tensor], Search]] = {"torch": torch_search, "faiss": faiss_search}
