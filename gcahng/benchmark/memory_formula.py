"""A formula of the peak memory, and the largest batch for a given memory."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

from gcahng.graph.dense.pairs import rows_sent_in_step
from gcahng.reports.tables import Column

LIMITS = {"24 GiB": 24 * 2**30, "80 GB": 80 * 10**9}
WALL_COLUMNS = (
    Column("processes", "processes", "integer"),
    Column("source", "formula"),
    Column("pair", "bytes/pair", "integer"),
    Column("node", "bytes/node", "integer"),
    *(Column(limit, f"nodes in {limit}", "integer") for limit in LIMITS),
)
PROJECTED = (8, 64)
# Nodes for which the share of exchanged pairs is counted; it hardly depends on them.
COUNTED = 648


class Formula(NamedTuple):
    """Peak bytes = pair · B(B + 1)/2 + node · B.

    Attributes:
        pair: Bytes for each pair.
        node: Bytes for each node.
    """

    pair: float
    node: float

    @classmethod
    def fit(cls, measured: Sequence[tuple[int, float]]) -> "Formula":
        """Fit to (nodes, bytes) by least squares of relative errors, without negative terms.

        Example:
            >>> Formula.fit([(10, 5500.0 + 300), (20, 21000.0 + 600)])
            Formula(pair=100.0..., node=30.0...)
        """
        nodes, found = np.array(measured, dtype=float).T
        terms = np.stack([nodes * (nodes + 1) / 2, nodes], axis=1)
        pair, node = nnls(terms / found[:, None], np.ones(len(found)))[0]
        return cls(float(pair), float(node))

    def bytes(self, nodes: float) -> float:
        """Peak bytes of a batch.

        Example:
            >>> Formula(pair=100, node=30).bytes(10)
            5800.0
        """
        return self.pair * nodes * (nodes + 1) / 2 + self.node * nodes

    def largest(self, limit: float) -> int:
        """The most nodes within a number of bytes.

        Example:
            >>> Formula(pair=100, node=30).largest(5800)
            10
            >>> Formula(pair=0, node=30).largest(300)  # as fitted to small batches alone
            10
        """
        linear = self.pair / 2 + self.node
        # The root of a quadratic, in the form that does not divide by its first coefficient.
        root = math.sqrt(linear**2 + 2 * self.pair * limit)
        return math.floor(2 * limit / (linear + root) + 1e-9)


def walls(formulas: Mapping[int, Formula], layers: int, heads: int) -> list[dict[str, Any]]:
    """The largest batch for each number of processes, measured and projected.

    Args:
        formulas: By number of processes; includes 1.
        layers: Layers of the graph network.
        heads: Heads of the node attention.

    Returns:
        Rows keyed as in `WALL_COLUMNS`.
    """
    found = [_row(count, "fitted", formula) for count, formula in formulas.items()]
    most = max(formulas)
    if most > 1:
        replicated = replicated_bytes(layers, heads)
        found += [
            _row(count, "projected", _project(formulas[1], formulas[most], most, count, replicated))
            for count in PROJECTED
            if count > most
        ]
    return found


def replicated_bytes(layers: int, heads: int) -> float:
    """Bytes for each pair that all processes hold alike: indices, attention between nodes.

    Indices of pairs and of their nodes take 40 bytes; the attention saves three tensors for each
    of the two directions, head and layer.

    Example:
        >>> replicated_bytes(layers=2, heads=4)
        232
    """
    return 40 + 3 * 2 * 4 * layers * heads


def _project(
    one: Formula, several: Formula, measured: int, processes: int, replicated: float
) -> Formula:
    """The formula of W processes from those of one and of another number."""
    replicated = min(replicated, one.pair)
    split = one.pair - replicated
    extra = max(0.0, several.pair - replicated - split / measured)
    ratio = rows_sent_in_step(COUNTED, processes) / rows_sent_in_step(COUNTED, measured)
    return Formula(replicated + split / processes + extra * ratio, several.node)


def _row(processes: int, source: str, formula: Formula) -> dict[str, Any]:
    sizes = {name: formula.largest(limit) for name, limit in LIMITS.items()}
    return {"processes": processes, "source": source, **formula._asdict(), **sizes}
