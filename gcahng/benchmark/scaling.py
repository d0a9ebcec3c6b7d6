"""Time and memory of the hard-negative part against the number of nodes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console

from gcahng.benchmark import scaling_worker
from gcahng.benchmark.measure import MIB, device_name, find_device
from gcahng.benchmark.memory_formula import LIMITS, WALL_COLUMNS, Formula, walls
from gcahng.benchmark.report import write_benchmark
from gcahng.benchmark.scaling_plot import save_scaling
from gcahng.benchmark.workers import check_processes, parse_counts, run_workers
from gcahng.benchmark.workloads import Shape
from gcahng.files import atomic_write
from gcahng.graph.dense.pair_functions import LARGE_HIDDEN
from gcahng.reports.tables import Column, markdown_table, results_table

TITLE = "Hard negatives of large batches"
TABLE = "scaling"
LAYERS, HEADS = 2, 4
# Classes of the training set: a fixed number, so that the classifier costs the same per pair.
TRAINING_CLASSES = 300
# Batches with more pairs are measured once.
MANY_PAIRS = 100_000
COLUMNS = (
    Column("nodes", "nodes", "integer"),
    Column("pairs", "pairs", "integer"),
    Column("batch", "classes × samples"),
    Column("processes", "processes", "integer"),
    Column("memory", "memory"),
    Column("runs", "runs", "integer"),
    Column("seconds", "seconds", "number"),
    Column("cpu", "CPU s", "number"),
    Column("mib", "peak MiB", "mib"),
    Column("fitted", "formula MiB", "mib"),
)


def run_scaling(
    nodes: str,
    processes: str | None,
    dim: int,
    repetitions: int,
    threads: int,
    out: Path | None,
    console: Console,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Measure each batch size, fit a formula to the peak memory and print where it ends.

    Args:
        nodes: Batch sizes, such as `81,162`.
        processes: Numbers of processes, such as `1,2`; 1 is always measured. None: only 1.
        dim: D, channels of an embedding.
        repetitions: Timed runs of a batch of at most `MANY_PAIRS` pairs.
        threads: Number of threads of each process.
        out: Folder for `scaling.md`, `.csv` and `.png`; None writes no files.
        console: Where to print.
        device: `cpu` or `cuda`; several processes only on the CPU.

    Returns:
        One row per batch size, number of processes and memory mode, keyed as in `COLUMNS`.

    Raises:
        ValueError: If a number does not make sense.
        ChildProcessError: If a process fails, for instance because memory runs out.
    """
    target = find_device(device)
    counts = [1]
    if processes is not None:
        counts = sorted({1, *parse_counts("--processes", processes)})
        check_processes(counts, threads, device)
    if dim % HEADS:
        raise ValueError(f"--dim: expected a multiple of {HEADS}, the number of heads, got {dim}")
    shapes = [_shape(count, dim) for count in parse_counts("--nodes", nodes)]
    rows = []
    for shape in shapes:
        for count in counts:
            job = {
                "shape": asdict(shape),
                "device": device,
                "threads": threads,
                "repetitions": 1 if shape.pairs > MANY_PAIRS else repetitions,
            }
            for mode in _modes(shape, count):
                rows.append(_row(job, shape, count, mode))
                console.print(_progress(rows[-1]), highlight=False)
    formulas = {count: _fit(rows, count) for count in counts}
    for row in rows:
        if "low" in row["memory"]:
            row["fitted"] = formulas[row["processes"]].bytes(row["nodes"]) / MIB
    found = walls(formulas, LAYERS, HEADS)
    notes = _notes(device_name(target), threads, dim, formulas[1], _fit(rows, 1, "cpu"))
    console.print(results_table(rows, COLUMNS, TITLE))
    console.print(results_table(found, WALL_COLUMNS, "Largest batch that fits"))
    console.print("\n".join(notes), highlight=False)
    if out is not None:
        table = ["## Largest batch that fits", markdown_table(found, WALL_COLUMNS).rstrip()]
        picture = f"![Peak memory and time against the number of nodes]({TABLE}.png)"
        write_benchmark(out, TABLE, TITLE, rows, COLUMNS, [*table, picture, *notes])
        with atomic_write(out / f"{TABLE}.png") as temporary:
            save_scaling(rows, formulas, LIMITS, temporary)
    return rows


def _shape(nodes: int, dim: int) -> Shape:
    samples = next((samples for samples in (3, 4, 2) if nodes % samples == 0), None)
    if samples is None or nodes == samples:
        raise ValueError(f"--nodes: {nodes} nodes are not 2, 3 or 4 samples of several classes")
    classes = nodes // samples
    return Shape(
        classes, samples, dim, LAYERS, HEADS, training_classes=max(TRAINING_CLASSES, classes)
    )


def _modes(shape: Shape, processes: int) -> Sequence[str]:
    """The memory modes to measure; of large batches, `auto` saves what `low` saves."""
    if processes > 1:
        return ["low"]
    same = 4 * shape.pairs * shape.dim > LARGE_HIDDEN
    return ["auto, low"] if same else ["auto", "low"]


def _row(job: Mapping[str, Any], shape: Shape, processes: int, memory: str) -> dict[str, Any]:
    mode = memory.rpartition(" ")[2]
    found = run_workers(scaling_worker.__name__, {**job, "memory": mode}, processes)
    slowest = {
        key: median(max(times) for times in zip(*(each[key] for each in found), strict=True))
        for key in ("seconds", "cpu")
    }
    return {
        "nodes": shape.nodes,
        "pairs": shape.pairs,
        "batch": f"{shape.classes} × {shape.samples}",
        "processes": processes,
        "memory": memory,
        "runs": job["repetitions"],
        **slowest,
        "mib": max(each["mib"] for each in found),
    }


def _progress(row: Mapping[str, Any]) -> str:
    return (
        f"{row['nodes']} nodes, {row['processes']} process(es), memory {row['memory']}: "
        f"{row['seconds']:.1f} s, {row['mib']:.0f} MiB"
    )


def _fit(rows: Sequence[Mapping[str, Any]], processes: int, key: str = "mib") -> Formula:
    """The formula of the memory mode low: of bytes, or of CPU seconds with `key="cpu"`."""
    chosen = [row for row in rows if row["processes"] == processes and "low" in row["memory"]]
    unit = MIB if key == "mib" else 1
    return Formula.fit([(row["nodes"], unit * row[key]) for row in chosen])


def _notes(device: str, threads: int, dim: int, formula: Formula, seconds: Formula) -> list[str]:
    return [
        f"{device}, {threads} thread(s) for each process, torch {torch.__version__}; D = {dim}, "
        f"{LAYERS} layers, {HEADS} heads, {TRAINING_CLASSES} training classes, dropout off.",
        "Measured is the hard-negative part of a training step, forward and backward of both "
        f"passes, after a warm-up on a small batch. More than {MANY_PAIRS} pairs are measured "
        "once. Seconds: wall-clock time, CPU s: of the busiest process.",
        "Peak MiB: by how much the memory of the process grows (on a GPU, what is allocated), of "
        "the process that needs most, beyond networks, gradients and libraries.",
        f"The formula, fitted to the memory mode low: {formula.pair:.0f} bytes × B(B + 1)/2 "
        f"pairs + {formula.node:.0f} bytes × B nodes; a pair takes "
        f"{formula.pair / (4 * dim):.1f} vectors of D float32 numbers. CPU time, fitted alike: "
        f"{1e3 * seconds.pair:.2f} ms for each pair and {1e3 * seconds.node:.2f} ms for each node.",
        "Largest batch: solved for B from the formula, for the hard-negative part alone; networks, "
        "optimizers and the backbone need memory besides. Rows marked 'projected' are not "
        "measured: pairs are divided by the number of processes W, what two processes exchange is "
        "scaled with the number of pairs sent, and indices and attention between nodes stay on "
        "every process.",
    ]
