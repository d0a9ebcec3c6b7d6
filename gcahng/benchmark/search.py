"""Time, memory and recall of a store of pictures, by the number of pictures."""

from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from gcahng.benchmark import search_worker
from gcahng.benchmark.drawn_vectors import CLASS_SIZE
from gcahng.benchmark.measure import CPU, device_name
from gcahng.benchmark.report import report_benchmark
from gcahng.benchmark.workers import parse_counts, run_workers
from gcahng.reports.tables import Column

TITLE = "Searching a store of pictures"
COLUMNS = (
    Column("vectors", "pictures", "integer"),
    Column("write_s", "write [s]", "number"),
    Column("compact_s", "compact [s]", "number"),
    Column("exact_ms", "exact search [ms]", "number"),
    Column("index_s", "build index [s]", "number"),
    Column("ann_ms", "with index [ms]", "number"),
    Column("recall", "recall@10 [%]", "percent"),
    Column("mib", "memory [MiB]", "mib"),
    Column("disk_mib", "on disk [MiB]", "mib"),
)


def run_search(
    vectors: str, dim: int, threads: int, out: Path | None, console: Console
) -> list[dict[str, Any]]:
    """Measure stores of drawn vectors and print a table.

    Args:
        vectors: Numbers of pictures, such as `10000,100000`.
        dim: Dimension of an embedding.
        threads: Number of threads of PyTorch; LanceDB uses all cores.
        out: Folder for `search.md` and `search.csv`; None writes no files.
        console: Where to print.

    Returns:
        One row per number of pictures, keyed as in `COLUMNS`.

    Raises:
        ValueError: If a number does not make sense.
        ChildProcessError: If a process fails.
    """
    rows = []
    for count in parse_counts("--vectors", vectors):
        job = {"vectors": count, "dim": dim, "threads": threads}
        (found,) = run_workers(search_worker.__name__, job, 1)
        rows.append({"vectors": count, **found})
    import lancedb

    notes = [
        f"{device_name(CPU)}, {torch.get_num_threads()} thread(s), LanceDB {lancedb.__version__}; "
        f"D = {dim}, unit vectors around random centres, {CLASS_SIZE} to a class, "
        f"thumbnails of {search_worker.THUMBNAIL_BYTES} bytes.",
        f"Write: in transactions of {search_worker.TRANSACTION}, without embedding. Searches: k = "
        "10, median. Recall: share of the 10 nearest that the index finds, mean over 200 pictures "
        "of the store. Memory: by how much writing and exact search let the process grow.",
    ]
    report_benchmark(console, out, "search", TITLE, rows, COLUMNS, notes)
    return rows
