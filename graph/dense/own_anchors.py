"""The pairs that touch this process's own anchors, with their values from the other processes."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from gcahng.graph.dense.pairs import Pairs, unordered_pairs
from gcahng.processes import Group, bounds, exchange_rows, own_part, rank, world_size


class OwnAnchors(NamedTuple):
    """The anchors of one process, as a range of the flat numbers p·S + a.

    Attributes:
        rows: The range.
        total: B = P·S, the anchors of all processes.
        group: The processes.
    """

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
    process sends every pair's value to the owners of its two endpoints.

    Args:
        values: [m, D], one row per pair of this process.
        pairs: These pairs.

    Returns:
        Values and their pairs: the arguments, which may touch other nodes too and need no copy,
        and those received from others; and the range of own nodes. With one process the arguments
        and all nodes.
    """
    group = pairs.group
    if group is None:
        return [(values, pairs)], slice(0, pairs.num_nodes)
    plan = _plan(pairs.num_nodes, values.device, rank(group), world_size(group))
    received = exchange_rows(values, plan.chosen, plan.sent, plan.received, group)
    return [(values, pairs), (received, plan.pairs)], own_part(pairs.num_nodes, group)


def rows_sent_in_step(num_nodes: int, processes: int) -> int:
    """How many pairs' rows the busiest of several processes sends to others in a training step.

    Both passes send η; the backward pass of the generator's sends back the gradients of the
    received η (in the metric pass η has none).

    Example:
        >>> [rows_sent_in_step(81, processes) for processes in (1, 2, 8)]
        [0, 2746, 2245]
    """
    pairs = unordered_pairs(num_nodes, torch.device("cpu"))
    nodes, parts = bounds(num_nodes, processes), bounds(pairs.total, processes)
    rows = [0] * processes
    for receiver in range(processes):
        wanted = _touching(pairs, nodes, receiver)
        for sender, (start, stop) in enumerate(pairwise(parts)):
            count = int(wanted[start:stop].sum()) if sender != receiver else 0
            rows[sender] += 2 * count
            rows[receiver] += count
    return max(rows)


@dataclass(frozen=True)
class _Plan:
    """Which own pairs are sent to each process, and which pairs of others are received."""

    chosen: Tensor
    sent: list[int]
    received: list[int]
    pairs: Pairs


@lru_cache(maxsize=8)
def _plan(num_nodes: int, device: torch.device, process: int, processes: int) -> _Plan:
    with torch.inference_mode(False):
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
    """Whether each pair has an endpoint that belongs to a process: bool [M]."""
    start, stop = nodes[process], nodes[process + 1]
    row, col = pairs.row, pairs.col
    return ((row >= start) & (row < stop)) | ((col >= start) & (col < stop))
