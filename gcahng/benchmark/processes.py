"""The graph part and the whole step in one process and in several, on the same batch."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console

from gcahng.benchmark import process_worker, projection
from gcahng.benchmark.measure import CPU, device_name
from gcahng.benchmark.process_worker import PARTS, STEP
from gcahng.benchmark.report import write_benchmark
from gcahng.benchmark.workers import check_processes, parse_counts, run_workers
from gcahng.benchmark.workloads import SHAPES, Shape
from gcahng.registry import lookup
from gcahng.reports.tables import Column, markdown_table, results_table

TITLE = "One batch graph over several processes"
KINDS = (*projection.ALL_REDUCED, projection.PAIRS)
KEYS = (
    Column("shape", "shape"),
    Column("part", "part"),
    Column("processes", "processes", "integer"),
)
TIMES = (
    Column("seconds", "seconds", "number"),
    Column("speedup", "× faster", "number"),
    Column("cpu", "CPU s", "number"),
    Column("work", "× less CPU", "number"),
    Column("mib", "peak MiB", "mib"),
    Column("share", "share of peak", "number"),
)
VOLUMES = tuple(Column(kind, f"{kind} MB", "number") for kind in KINDS)
COLUMNS = (*KEYS, *TIMES, *VOLUMES)
NOTES = (
    "Process 0 computes the batch alone, then all compute it together, in turn, after a warm-up. "
    "Seconds: wall-clock time of the slowest process; CPU s: of the busiest, on which other "
    "programs have much less effect; × faster, × less CPU: medians of the ratio to one process in "
    "the same repetition.",
    "Graph part: both passes of the generator with losses and backward. Whole step: three "
    "optimizers and a linear embedder besides. Balanced saves the hidden activations of the pairs, "
    "low recomputes them.",
    "Peak MiB: largest memory of tensors beyond parameters, their gradients and the batch, of the "
    "process that needs most, from a separate run.",
    "MB (10⁶ bytes): sent by the busiest process in one repetition.",
)
Found = list[dict[str, Any]]


def run_processes(
    processes: str,
    shapes: Sequence[str],
    repetitions: int,
    threads: int,
    out: Path | None,
    console: Console,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Measure all parts on each shape and print a table and a projection.

    Args:
        processes: Their numbers, such as `1,2`; 1 is always measured.
        shapes: Names in `SHAPES`.
        repetitions: Timed runs of each.
        threads: Number of threads of each process.
        out: Folder for `processes.md` and `processes.csv`; None writes no files.
        console: Where to print.
        device: Only `cpu`; another one is refused.

    Returns:
        One row per shape, part and number of processes, keyed as in `COLUMNS`.

    Raises:
        ValueError: If a shape is unknown, or there are more processes than cores.
        ChildProcessError: If a process fails.
    """
    chosen = {name: lookup(SHAPES, name, "shape") for name in shapes}
    counts = parse_counts("--processes", processes)
    check_processes(counts, threads, device)
    job = {
        "shapes": {name: asdict(shape) for name, shape in chosen.items()},
        "repetitions": repetitions,
        "threads": threads,
    }
    several = [count for count in counts if count > 1] or [1]
    module = process_worker.__name__
    found = {count: run_workers(module, job, count) for count in several}
    rows = [
        row
        for name in chosen
        for part in PARTS
        for count in several
        for row in _rows(name, part, found[count], first=count == several[0])
    ]
    machine = (
        f"{device_name(CPU)}, {threads} thread(s) each, torch {torch.__version__}, "
        f"{repetitions} repetitions."
    )
    described = [f"{name}: {shape}." for name, shape in chosen.items()]
    notes = [machine, *described, *_agreement(found), *NOTES]
    console.print(results_table(rows, (*KEYS, *TIMES), TITLE))
    projected = _projected(chosen, found[several[-1]])
    if projected:
        sent = [row for row in rows if row["processes"] > 1]
        console.print(results_table(sent, (*KEYS, *VOLUMES), "Sent by the busiest process"))
        console.print(results_table(projected, projection.COLUMNS, projection.TITLE))
        notes.append(projection.assumptions())
    console.print("\n".join(notes), highlight=False)
    if out is not None:
        if projected:
            notes.insert(-1, f"## {projection.TITLE}")
            notes.insert(-1, markdown_table(projected, projection.COLUMNS).rstrip())
        write_benchmark(out, "processes", TITLE, rows, COLUMNS, notes)
    return rows


def _rows(shape: str, part: str, found: Found, first: bool) -> list[dict[str, Any]]:
    """The row of one process, if these are the first to be shown, and that of several."""
    measured = [process["rows"][shape][part] for process in found]
    alone = measured[0]["alone"]
    key = {"shape": shape, "part": part}
    one = {name: median(alone[name]) for name in ("seconds", "cpu")}
    rows: list[dict[str, Any]] = []
    if first:
        rows.append({**key, "processes": 1, **one, "speedup": 1.0, "work": 1.0})
        rows[0] |= {"mib": alone.get("mib"), "share": 1.0 if "mib" in alone else None}
    if len(found) == 1:
        return rows
    together = [process["together"] for process in measured]
    row: dict[str, Any] = {**key, "processes": len(found)}
    for name, ratio in (("seconds", "speedup"), ("cpu", "work")):
        slowest = [max(times) for times in zip(*(t[name] for t in together), strict=True)]
        row[name] = median(slowest)
        pairs = zip(alone[name], slowest, strict=True)
        row[ratio] = median(single / several for single, several in pairs)
    if "mib" in alone:
        row["mib"] = max(process["mib"] for process in together)
        row["share"] = row["mib"] / alone["mib"]
    row |= {kind: sent / 1e6 for kind, sent in _sent(measured).items()}
    return [*rows, row]


def _sent(measured: Found) -> dict[str, float]:
    """Bytes that the busiest process sends, by kind."""
    kinds = [kind for kind in KINDS if kind in measured[0]["bytes"]]
    return {kind: max(process["bytes"][kind] for process in measured) for kind in kinds}


def _projected(shapes: dict[str, Shape], found: Found) -> list[dict[str, Any]]:
    if len(found) == 1:
        return []
    rows = []
    for name, shape in shapes.items():
        measured = [process["rows"][name][STEP] for process in found]
        exchanges = max(process["exchanges"] for process in measured)
        rows += projection.project(name, shape, _sent(measured), exchanges, len(found))
    return rows


def _agreement(found: dict[int, Found]) -> list[str]:
    """How well the losses of several processes agree with those of one, as text."""
    differences = [
        abs(sum(shares) - single) / abs(single)
        for processes in found.values()
        if len(processes) > 1
        for single, *shares in zip(
            processes[0]["losses"]["alone"],
            *(process["losses"]["together"] for process in processes),
            strict=True,
        )
    ]
    if not differences:
        return []
    return [
        "In float64 on a small batch the losses of one and of several processes differ by at most "
        f"{max(differences):.1e} of their size."
    ]
