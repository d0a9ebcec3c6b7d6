"""What a training step would cost on many GPUs: a projection from formulas, not a measurement."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gcahng.benchmark.workloads import Shape, matmul_flops, node_flops
from gcahng.graph.dense.pairs import rows_sent_in_step
from gcahng.reports.tables import Column

# Kinds of exchanges that are all-reduces: their volume does not depend on who has which pairs.
ALL_REDUCED = ("sums", "features", "gradients")
PAIRS = "coefficients"


@dataclass(frozen=True)
class Cluster:
    """Assumed machines.

    Attributes:
        gpus: W, one process each.
        flops: Float32 FLOP/s that a GPU sustains.
        bandwidth: Bytes per second that each GPU sends.
        latency: Seconds that an exchange takes beyond this.
        where: In words.
    """

    gpus: int
    flops: float
    bandwidth: float
    latency: float
    where: str


CLUSTERS = (
    Cluster(1, 15e12, 1.0, 0.0, "one GPU"),
    Cluster(8, 15e12, 150e9, 20e-6, "one machine with NVLink"),
    Cluster(64, 15e12, 20e9, 60e-6, "8 machines with 200 Gbit/s for each GPU"),
)
COLUMNS = (
    Column("shape", "shape"),
    Column("gpus", "GPUs", "integer"),
    Column("pairs", "pairs ms", "number"),
    Column("nodes", "nodes ms", "number"),
    Column("exchange", "exchanges ms", "number"),
    Column("step", "sum ms", "number"),
    Column("speedup", "× faster", "number"),
    *(Column(kind, f"{kind} MB", "number") for kind in (*ALL_REDUCED, PAIRS)),
)
TITLE = "PROJECTION to GPUs, calculated and not measured"


def volumes(
    sent: Mapping[str, float], measured: int, processes: int, nodes: int
) -> dict[str, float]:
    """Bytes that the busiest of W processes sends in a step, from those of another number.

    An all-reduce of n bytes sends 2 n (W - 1)/W; coefficients as `rows_sent_in_step` counts.

    Args:
        sent: Bytes by kind, as measured.
        measured: The number of processes that sent them, at least 2.
        processes: W.
        nodes: B.

    Example:
        >>> volumes({"sums": 100.0}, measured=2, processes=8, nodes=81)
        {'sums': 175.0}
    """

    def amount(kind: str, count: int) -> float:
        if kind == PAIRS:
            return float(rows_sent_in_step(nodes, count))
        return 2 * (count - 1) / count

    return {k: value / amount(k, measured) * amount(k, processes) for k, value in sent.items()}


def project(
    name: str, shape: Shape, sent: Mapping[str, float], exchanges: int, measured: int
) -> list[dict[str, Any]]:
    """One row for each of `CLUSTERS`, keyed as in `COLUMNS`; arguments as in `volumes`."""
    node = node_flops(shape)
    pair = matmul_flops(shape) - node
    rows: list[dict[str, Any]] = []
    for cluster in CLUSTERS:
        volume = volumes(sent, measured, cluster.gpus, shape.nodes)
        times = {
            "pairs": pair / cluster.gpus / cluster.flops,
            "nodes": node / cluster.flops,
            "exchange": sum(volume.values()) / cluster.bandwidth + exchanges * cluster.latency,
        }
        milliseconds = {key: 1e3 * value for key, value in times.items()}
        row = {"shape": name, "gpus": cluster.gpus, **milliseconds}
        row |= {"step": sum(milliseconds.values())}
        row |= {kind: value / 1e6 for kind, value in volume.items()}
        rows.append(row)
        row["speedup"] = rows[0]["step"] / row["step"]
    return rows


def assumptions() -> str:
    """The formula of `project` and the assumed machines, as text."""
    machines = "; ".join(
        f"{c.gpus} GPUs: {c.where}, {c.bandwidth / 1e9:.0f} GB/s, {1e6 * c.latency:.0f} µs"
        for c in CLUSTERS[1:]
    )
    return (
        "The projection: t(W) = F_pairs/(W·R) + F_nodes/R + V(W)/bandwidth + exchanges · latency. "
        "F: floating-point operations of the matrix products for pairs (split over the "
        "processes) and nodes (the same on all); R: "
        f"{CLUSTERS[0].flops / 1e12:.0f} TFLOP/s in float32, assumed. V(W): bytes that the busiest "
        "process sends in a whole step; all-reduces of n bytes send 2n(W - 1)/W, coefficients go "
        f"to the owners of both nodes of a pair. Assumed for each GPU: {machines}. The backbone, "
        "optimizers, kernel launches and the overlap of computing with exchanges are left out; "
        "launches alone make small shapes slower than this."
    )
