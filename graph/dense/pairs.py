"""The rows that store the edges of a complete graph: one for each pair, or one per direction."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, wraps
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from gcahng.processes import (
    Group,
    bounds,
    exchange_rows,
    gather_rows,
    own_part,
    rank,
    sum_over_processes,
    world_size,
)

F = TypeVar("F", bound=Callable[..., Any])

# Pairs per chunk. On a CPU the 4D-wide hidden layer of a chunk should fit the cache; a GPU needs
# more rows for full utilisation.
CPU_CHUNK = 256
DEVICE_CHUNK = 8192
EVERY = slice(None)


def compute_once(function: F) -> F:
    """Decorator: keep the result for each tuple of arguments, since batches repeat their size.

    Unlike `functools.cache`, `torch.compile` takes what is known already as an input. Nothing is
    ever dropped: a recorded CUDA graph reads its memory.
    """
    known: dict[tuple[Any, ...], Any] = {}

    @wraps(function)
    def look_up(*key: Any) -> Any:
        if key not in known:
            # Tensors created in inference mode cannot be used in a later training step.
            with torch.inference_mode(False):
                known[key] = function(*key)
        return known[key]

    return cast(F, look_up)


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs i ≤ j of B nodes, sorted by (i, j); M = B(B+1)/2.

    A pair's row stands for both of its edges, (i, j) and (j, i). Once they differ, it stands for
    (i, j) only, and a row for (j, i) follows those of the pairs (`separate`): R ≥ M rows.

    Attributes:
        row: [R] the first node i, the smaller one in the first M rows.
        col: [R] the second node j.
        weight: [R] number of directed edges of a row: 2, or 1 on the diagonal and where the two
            directions have a row each.
        index: [B, B] row of each ordered pair; symmetric unless pairs are separated.
        group: The processes that share the M pairs: row, col and weight hold only the part of this
            process (`own_pairs`); None: all pairs are here.
        derived: What others have computed from them once, by its arguments; it lives as long as
            they do, as a recorded CUDA graph needs.
    """

    row: Tensor
    col: Tensor
    weight: Tensor
    index: Tensor
    group: Group = None
    derived: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def num_nodes(self) -> int:
        """B, the number of nodes."""
        return self.index.size(0)

    @property
    def total(self) -> int:
        """M, the number of pairs of all nodes."""
        return self.num_nodes * (self.num_nodes + 1) // 2

    def chunks(self, large: bool = False) -> Iterator[slice]:
        """Consecutive ranges of pairs, sized for the device; `large` is faster but takes memory."""
        size = CPU_CHUNK if self.row.device.type == "cpu" else DEVICE_CHUNK
        size = 2 * size if large else size
        count = self.row.numel()
        return (slice(start, min(start + size, count)) for start in range(0, count, size))

    def gather_endpoints(self, nodes: Tensor, chunk: slice = EVERY) -> tuple[Tensor, Tensor]:
        """Gather node values at both endpoints of each pair: [B, …] → two of [m, …]."""
        return nodes.index_select(0, self.row[chunk]), nodes.index_select(0, self.col[chunk])

    def mirrored(self, chunk: slice, dtype: torch.dtype) -> Tensor:
        """1 for rows of a chunk that stand for two edges, (i, j) and (j, i), else 0: [m, 1]."""
        return self._mirrored[chunk].to(dtype)

    @cached_property
    def _mirrored(self) -> Tensor:
        with torch.inference_mode(False):
            return (self.weight - 1).unsqueeze(1).float()

    def scatter_to_endpoints(self, nodes: Tensor, values: Tensor, chunk: slice = EVERY) -> None:
        """Add the value of each edge (i, j) to its node i in place: values [m, D], nodes [B, D]."""
        nodes.index_add_(0, self.row[chunk], values)
        nodes.index_add_(0, self.col[chunk], values * self.mirrored(chunk, values.dtype))

    def separate(self, differs: Tensor) -> tuple["Pairs", Tensor]:
        """Give (j, i) a row of its own where it now `differs` [B, B] from (i, j).

        Returns:
            The new pairs, and for each of their rows the present one, whose value it inherits.
        """
        # A GPU makes the host wait for their number.
        chosen = (differs[self.row, self.col] & (self.weight == 2)).nonzero()[:, 0]
        count = self.row.numel()
        source = torch.cat([torch.arange(count, device=chosen.device), chosen])
        row = torch.cat([self.row, self.col[chosen]])
        col = torch.cat([self.col, self.row[chosen]])
        weight = torch.cat([self.weight.index_fill(0, chosen, 1), torch.ones_like(chosen)])
        index = self.index.clone()
        index[row[count:], col[count:]] = torch.arange(count, row.numel(), device=chosen.device)
        return Pairs(row, col, weight, index), source

    def sum_over_parts(self, value: Tensor) -> Tensor:
        """Sum a tensor over the processes that share the pairs, with gradient."""
        return sum_over_processes(value, self.group)

    def to_dense(self, values: Tensor) -> Tensor:
        """Expand pair values to all ordered pairs: [M, D] → [B, B, D], gathered if split."""
        values = gather_rows(values, self.total, self.group)
        size = self.num_nodes
        return values.index_select(0, self.index.reshape(-1)).view(size, size, -1)


@compute_once
def unordered_pairs(num_nodes: int, device: torch.device) -> Pairs:
    """The pairs of a complete graph with self loops."""
    row, col = torch.triu_indices(num_nodes, num_nodes, device=device)
    index = torch.empty(num_nodes, num_nodes, dtype=torch.long, device=device)
    numbers = torch.arange(row.numel(), device=device)
    index[row, col] = numbers
    index[col, row] = numbers
    return Pairs(row, col, 2 - (row == col).long(), index)


def own_pairs(num_nodes: int, device: torch.device, group: Group) -> Pairs:
    """The pairs of this process: its part of `unordered_pairs`, or without a group all of them."""
    whole = unordered_pairs(num_nodes, device)
    if group is None:
        return whole
    part = own_part(whole.row.numel(), group)
    return Pairs(whole.row[part], whole.col[part], whole.weight[part], whole.index, group)


@compute_once
def complete_edges(num_nodes: int, device: torch.device) -> Tensor:
    """All ordered pairs [2, B²], row-major and cached: edge i·B + j goes from node i to node j."""
    nodes = torch.arange(num_nodes, device=device)
    return torch.stack([nodes.repeat_interleave(num_nodes), nodes.repeat(num_nodes)])


def pairs_of_edges(edge_index: Tensor, num_nodes: int) -> tuple[int, Tensor]:
    """Number the unordered pairs of any graph's edges: how many, and that of each edge, [E]."""
    device, complete = edge_index.device, edge_index.size(1) == num_nodes**2
    if complete and edge_index is complete_edges(num_nodes, device):
        # The pairs of a batch graph are known; to find them, the host would wait for a GPU.
        pairs = unordered_pairs(num_nodes, device)
        return pairs.row.numel(), pairs.index.reshape(-1)
    low, high = edge_index.min(dim=0).values, edge_index.max(dim=0).values
    found, pair_of_edge = (low * num_nodes + high).unique(return_inverse=True)
    return found.numel(), pair_of_edge


class OwnAnchors(NamedTuple):
    """The anchors of one process, a range of the flat numbers p·S + a of all B = P·S anchors."""

    rows: slice
    total: int
    group: Group


def own_anchors(pairs: Pairs | None) -> OwnAnchors | None:
    """This process's anchors if the pairs are split over processes; None if it has all."""
    if pairs is None or pairs.group is None:
        return None
    return OwnAnchors(own_part(pairs.num_nodes, pairs.group), pairs.num_nodes, pairs.group)


def divide_among_processes(value: Tensor, own: OwnAnchors | None) -> Tensor:
    """Divide a loss that all processes compute alike by their number W, if they split the pairs."""
    return value if own is None else value / world_size(own.group)


def pairs_of_own_anchors(values: Tensor, pairs: Pairs) -> tuple[list[tuple[Tensor, Pairs]], slice]:
    """Collect the values of all pairs that touch one of this process's nodes.

    Mixing needs η of an anchor with all nodes, but pairs are split over the processes. So each
    process sends every pair's value [m, D] to the owners of its two endpoints.

    Returns:
        Values and their pairs: the arguments, which may touch other nodes too and need no copy,
        and those received from others; and the range of own nodes.
    """
    group = pairs.group
    if group is None:
        return [(values, pairs)], slice(0, pairs.num_nodes)
    plan = _plan(pairs.num_nodes, values.device, rank(group), world_size(group))
    received = exchange_rows(values, plan.chosen, plan.sent, plan.received, group)
    return [(values, pairs), (received, plan.pairs)], own_part(pairs.num_nodes, group)


@dataclass(frozen=True)
class _Plan:
    """Which own pairs are sent to each process, and which pairs of others are received."""

    chosen: Tensor
    sent: list[int]
    received: list[int]
    pairs: Pairs


@compute_once
def _plan(num_nodes: int, device: torch.device, process: int, processes: int) -> _Plan:
    whole = unordered_pairs(num_nodes, device)
    nodes, parts = bounds(num_nodes, processes), bounds(whole.row.numel(), processes)
    own = slice(parts[process], parts[process + 1])
    wanted = [_touching(whole, nodes, other)[own] for other in range(processes)]
    wanted[process].zero_()  # these need not be sent
    chosen = [rows.nonzero()[:, 0] for rows in wanted]
    mine = _touching(whole, nodes, process)
    mine[own] = False
    received = [int(mine[a:b].sum()) for a, b in pairwise(parts)]
    at = mine.nonzero()[:, 0]
    pairs = Pairs(whole.row[at], whole.col[at], whole.weight[at], whole.index)
    return _Plan(torch.cat(chosen), [len(rows) for rows in chosen], received, pairs)


def _touching(pairs: Pairs, nodes: list[int], process: int) -> Tensor:
    start, stop = nodes[process], nodes[process + 1]
    row, col = pairs.row, pairs.col
    return ((row >= start) & (row < stop)) | ((col >= start) & (col < stop))
