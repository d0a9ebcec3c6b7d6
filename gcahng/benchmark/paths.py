"""Time and memory of the dense path, compared with message passing over all edges."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from gcahng.benchmark.measure import (
    RATIOS,
    clock_of_ratios,
    device_name,
    find_device,
    median_ratio,
    median_times,
    peak_mib,
    plain_products,
    time_in_turn,
    torch_threads,
)
from gcahng.benchmark.report import report_benchmark
from gcahng.benchmark.workloads import (
    SHAPES,
    SMALL,
    STEPS,
    VARIANTS,
    Shape,
    Variant,
    exact_losses,
    hard_negatives,
    matmul_flops,
    training_step,
)
from gcahng.registry import lookup
from gcahng.reports.tables import Column

TITLE = "Hard negatives, forward and backward"
COLUMNS = (
    Column("shape", "shape"),
    Column("variant", "variant"),
    Column("dropout", "dropout"),
    Column("seconds", "seconds", "number"),
    Column("cpu", "CPU s", "number"),
    Column("speedup", "× faster", "number"),
    Column("floor", "% of floor", "percent"),
    Column("mib", "peak MiB", "mib"),
    Column("leaner", "× leaner", "number"),
)

NOTES = (
    "Seconds, CPU s (of all threads): medians of interleaved runs in one process. Measured is the "
    "hard-negative part of a training step, forward and backward of both graph passes; 'whole "
    "step' adds three optimizers and a linear embedder.",
    "× faster, × leaner: the figure of the first message-passing row with the same dropout and "
    "scope, divided by that of the row. Both paths are this project's own code.",
    "% of floor: the least time for the matrix products that the algebra needs, at the rate of "
    "plain float32 products measured in turn with the variants, divided by the time taken; each "
    "pair counts once.",
    f"× faster and % of floor are medians of the ratios of each round, {RATIOS}.",
    "With independent dropout, the dense path computes an edge and its mirror once while their "
    "masks agree, and each of them afterwards.",
    "Peak MiB: largest memory of tensors beyond parameters, their gradients and the batch, from a "
    "separate run.",
)


def run_benchmark(
    shapes: Sequence[str],
    repetitions: int,
    threads: int,
    out: Path | None,
    console: Console,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Measure all variants on each shape and print one table.

    Args:
        shapes: Names in `SHAPES`.
        repetitions: Timed runs of each variant.
        threads: Number of threads of torch during the measurement.
        out: Folder for `benchmark.md` and `benchmark.csv`; None writes no files.
        console: Where to print.
        device: `cpu` or `cuda`; default `cpu`.

    Returns:
        One row per shape and variant, keyed as in `COLUMNS`.

    Raises:
        ValueError: If a shape is unknown.
    """
    chosen = {name: lookup(SHAPES, name, "shape") for name in shapes}
    target = find_device(device)
    with torch_threads(threads):
        rows, notes = [], []
        for name, shape in chosen.items():
            found, rate = _measure(shape, repetitions, target)
            rows += [{"shape": name, **row} for row in found]
            notes.append(f"{name}: {_describe(shape, rate)}")
        difference = largest_difference()
    notes = [
        f"{device_name(target)}, {threads} thread(s), torch {torch.__version__}, "
        f"{repetitions} repetitions.",
        *notes,
        f"In float64 on a small batch the losses of the exact variants differ by at most "
        f"{difference:.1e} of their size.",
        *NOTES,
    ]
    report_benchmark(console, out, "benchmark", TITLE, rows, COLUMNS, notes)
    return rows


def _describe(shape: Shape, rate: float) -> str:
    text = (
        f"{shape}; at least {matmul_flops(shape) / 1e9:.0f} GFLOP, "
        f"{rate / 1e9:.0f} GFLOP/s in plain products."
    )
    if not shape.reference:
        text += " Message passing is left out: extrapolated from B, it would take about 6.5 GiB."
    return text


def _measure(
    shape: Shape, repetitions: int, device: torch.device
) -> tuple[list[dict[str, Any]], float]:
    """The rows of one shape, and the rate of plain matrix products in FLOP/s."""
    variants = [v for v in (*VARIANTS, *STEPS) if shape.reference or v.path == "dense"]
    work = {
        v.title: (training_step if v in STEPS else hard_negatives)(shape, v, device)
        for v in variants
    }
    products, flops = plain_products(device)
    times = time_in_turn({**work, "products": products}, repetitions, device)
    clock = clock_of_ratios(device)
    rows: dict[Variant, dict[str, Any]] = {}
    for v in variants:
        found = times[v.title]
        row = {"variant": v.title, "dropout": v.dropout, **median_times(found)._asdict()}
        if v not in STEPS:
            row["mib"] = peak_mib(work[v.title], device)
        if v not in STEPS and not v.bfloat16:
            needed = matmul_flops(shape) / flops
            row["floor"] = needed * median_ratio(times["products"], found, clock)
        rows[v] = row
        reference = rows.get(_reference(v))
        if reference is not None:
            row["speedup"] = median_ratio(times[_reference(v).title], found, clock)
            if "mib" in row:
                row["leaner"] = reference["mib"] / row["mib"]
    return list(rows.values()), flops / getattr(median_times(times["products"]), clock)


def _reference(variant: Variant) -> Variant:
    """The message-passing variant with the same scope and dropout."""
    scope = STEPS if variant in STEPS else VARIANTS
    return next(v for v in scope if v.path == "sparse" and v.dropout == variant.dropout)


def largest_difference(shape: Shape = SMALL) -> float:
    """Largest relative difference of any loss to that of message passing, in float64.

    In two passes and without bfloat16 all variants are exact; they draw the same dropout masks.
    """
    exact = [v for v in VARIANTS if not v.bfloat16]
    found = {v: exact_losses(shape, v) for v in exact}
    return max(
        abs(ours - reference) / abs(reference)
        for variant, losses in found.items()
        for ours, reference in zip(losses, found[_reference(variant)], strict=True)
    )
