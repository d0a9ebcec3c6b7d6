"""Time of the retrieval metrics, beside a per-query loop and pytorch-metric-learning."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from gcahng.benchmark.drawn_vectors import CLASS_SIZE, draw_vectors
from gcahng.benchmark.measure import (
    RATIOS,
    clock_of_ratios,
    device_name,
    find_device,
    median_ratio,
    median_times,
    time_in_turn,
    torch_threads,
)
from gcahng.benchmark.report import report_benchmark
from gcahng.benchmark.workers import parse_counts
from gcahng.evaluation.engines import BUDGET, full_float32
from gcahng.evaluation.retrieval import retrieval_metrics
from gcahng.reports.tables import Column

TITLE = "Retrieval metrics"
KS = (1, 2, 4, 8)
# Classes overlap, so that the metrics are far from 1.
SPREAD = 2.5
# The published evaluation ranks so many neighbours, a block of so many queries at a time.
LOOP_NEIGHBOURS, LOOP_BLOCK = 1000, 5000
# More embeddings are measured once.
MANY = 20_000
LOOP, PRODUCTS = "per-query loop", "float32 products alone"
COLUMNS = (
    Column("embeddings", "embeddings", "integer"),
    Column("method", "method"),
    Column("runs", "runs", "integer"),
    Column("seconds", "seconds", "number"),
    Column("cpu", "CPU s", "number"),
    Column("speedup", "× faster", "number"),
    Column("products", "× products", "number"),
    Column("map@r", "MAP@R", "text"),
)
Method = Callable[[Tensor, Tensor], float | None]


def run_retrieval(
    counts: str,
    dim: int,
    repetitions: int,
    threads: int,
    out: Path | None,
    console: Console,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Measure all methods on drawn embeddings and print a table.

    Args:
        counts: Numbers of embeddings, such as `10000,60000`.
        dim: Dimension of an embedding.
        repetitions: Timed runs of each method; above `MANY` embeddings there is one.
        threads: Number of threads of PyTorch and faiss.
        out: Folder for `retrieval.md` and `retrieval.csv`; None writes no files.
        console: Where to print.
        device: `cpu` or `cuda`, where the embeddings are.

    Returns:
        One row per number of embeddings and method, keyed as in `COLUMNS`.

    Raises:
        ValueError: If a number does not make sense.
    """
    numbers, target = parse_counts("--retrieval", counts), find_device(device)
    if numbers[0] < 2 * CLASS_SIZE:
        raise ValueError(
            f"--retrieval: expected at least {2 * CLASS_SIZE} embeddings, two classes of "
            f"{CLASS_SIZE} (got {numbers[0]})"
        )
    rows = []
    with torch_threads(threads), _faiss_threads(threads):
        for count in numbers:
            rows += _measure(count, dim, repetitions, target)
    notes = [
        f"{device_name(target)}, {threads} thread(s), torch {torch.__version__}; D = {dim}, "
        f"unit vectors around random centres, {CLASS_SIZE} to a class; Recall@K for K = "
        f"{', '.join(map(str, KS))}, MAP@R and R-Precision.",
        f"Medians of interleaved runs in one process; more than {MANY} embeddings are measured "
        f"once. × faster, × products: medians of the ratios of each round, {RATIOS}.",
        f"The loop takes the steps of the published evaluation: float32 products, the "
        f"{LOOP_NEIGHBOURS} nearest, then Recall@K, MAP@R and R-Precision query by query. "
        "pytorch-metric-learning: its AccuracyCalculator with its own search by faiss, "
        "Recall@1 only.",
    ]
    report_benchmark(console, out, "retrieval", TITLE, rows, COLUMNS, notes)
    return rows


@contextmanager
def _faiss_threads(count: int) -> Iterator[None]:
    """Set the number of threads of faiss within the block."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _measure(count: int, dim: int, repetitions: int, device: torch.device) -> list[dict[str, Any]]:
    embeddings = draw_vectors(count, dim, SPREAD).to(device)
    labels = (torch.arange(count) % max(1, count // CLASS_SIZE)).to(device)
    methods, small = _methods(), slice(0, 2 * CLASS_SIZE)
    for method in methods.values():  # warm up
        method(embeddings[small], labels[small] % 2)
    runs = repetitions if count <= MANY else 1
    figures: dict[str, float | None] = {}

    def run(name: str) -> None:
        figures[name] = methods[name](embeddings, labels)

    work = {name: partial(run, name) for name in methods}
    times = time_in_turn(work, runs, device, warm_up=False)
    clock, rows = clock_of_ratios(device), []
    for name, found in times.items():
        figure, middle = figures[name], median_times(found)
        rows.append(
            {
                "embeddings": count,
                "method": name,
                "runs": runs,
                **middle._asdict(),
                "speedup": median_ratio(times[LOOP], found, clock),
                "products": median_ratio(found, times[PRODUCTS], clock),
                "map@r": None if figure is None else f"{figure:.12f}",
            }
        )
    return rows


def _methods() -> Mapping[str, Method]:
    """What is measured; each returns MAP@R."""
    methods: dict[str, Method] = {LOOP: per_query_loop}
    with suppress(ImportError):
        methods["pytorch-metric-learning"] = _other_library()
    for engine in ("torch", "faiss"):
        methods[f"gcahng, {engine}"] = partial(_ours, engine)
    return methods | {PRODUCTS: _products}


def per_query_loop(embeddings: Tensor, labels: Tensor) -> float:
    """Compute the metrics query by query, in the steps of the published evaluation.

    Example:
        >>> per_query_loop(torch.eye(3)[[0, 0, 1, 1]], torch.tensor([0, 0, 1, 1]))
        1.0
    """
    count = min(LOOP_NEIGHBOURS + 1, len(labels))
    found = [
        labels[(block @ embeddings.T).topk(count).indices[:, 1:]].cpu()
        for block in embeddings.split(LOOP_BLOCK)
    ]
    labels = labels.cpu()
    relevant = (labels.bincount()[labels] - 1).tolist()
    ranks = torch.arange(1, count)
    recalls, average_precision, precision = dict.fromkeys(KS, 0), 0.0, 0.0
    for near, label, possible in zip(torch.cat(found), labels, relevant, strict=True):
        hits = near == label
        for k in KS:
            recalls[k] += bool(hits[:k].any())
        gains = hits.cumsum(0) * hits / ranks
        average_precision += float(gains[:possible].sum() / possible)
        precision += float(hits[:possible].sum() / possible)
    return average_precision / len(labels)


def _other_library() -> Method:
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    calculator = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r", "r_precision"),
        k="max_bin_count",
    )

    def method(embeddings: Tensor, labels: Tensor) -> float:
        return float(calculator.get_accuracy(embeddings, labels)["mean_average_precision_at_r"])

    return method


def _ours(engine: str, embeddings: Tensor, labels: Tensor) -> float:
    return retrieval_metrics(embeddings, labels, KS, engine=engine)["map@r"]


def _products(embeddings: Tensor, labels: Tensor) -> None:
    """All products of the torch engine, into memory that is used again."""
    rows = max(1, BUDGET // len(labels))
    out = embeddings.new_empty(rows, len(labels))
    with full_float32(embeddings.device):
        for block in embeddings.split(rows):
            torch.mm(block, embeddings.T, out=out[: len(block)])
