"""Time of the retrieval metrics.

python -m tests.benchmarks.retrieval  # docs/results/retrieval.md and .csv
"""

from functools import partial
from pathlib import Path
from typing import Any

import faiss
import torch
import typer
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch import Tensor

from gcahng.evaluation.retrieval import retrieval_metrics
from gcahng.training.measure_step import median_ratio, median_times, time_in_turn
from tests.benchmarks.common import CLASS_SIZE, CPU, Out, Rows, draw_vectors, report

KS = (1, 2, 4, 8)
# Classes overlap, so that the metrics are far from 1.
SPREAD = 2.5
# More embeddings are measured once.
MANY = 20_000
LOOP, PRODUCTS = "per-query loop", "float32 products alone"


def main(
    counts: str = "10000,60000",
    dim: int = 512,
    repetitions: int = 5,
    threads: int = 1,
    out: Path = Out,
) -> None:
    """Compare the metrics with a loop over the queries and with pytorch-metric-learning."""
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    rows: Rows = []
    for count in map(int, counts.split(",")):
        embeddings = draw_vectors(count, dim, SPREAD)
        labels, figures = torch.arange(count) % max(1, count // CLASS_SIZE), {}

        def run(name: str) -> None:
            figures[name] = METHODS[name](embeddings, labels)  # noqa: B023

        runs = repetitions if count <= MANY else 1
        times = time_in_turn({name: partial(run, name) for name in METHODS}, runs, CPU)
        for name, found in times.items():
            row = {"embeddings": count, "method": name, "runs": runs}
            row |= median_times(found)._asdict()
            row["speedup"] = median_ratio(times[LOOP], found, CPU)
            row["products"] = median_ratio(found, times[PRODUCTS], CPU)
            figure = figures[name]
            rows.append({**row, "map@r": None if figure is None else f"{figure:.12f}"})
    report("retrieval", rows, out)


def per_query_loop(embeddings: Tensor, labels: Tensor) -> float:
    """Compute MAP@R and the other metrics query by query, as the published evaluation does."""
    count = min(1001, len(labels))
    products = (block @ embeddings.T for block in embeddings.split(5000))
    found = torch.cat([labels[block.topk(count).indices[:, 1:]] for block in products])
    relevant = (labels.bincount()[labels] - 1).tolist()
    recalls, average_precision, precision = dict.fromkeys(KS, 0), 0.0, 0.0
    for near, label, possible in zip(found, labels, relevant, strict=True):
        hits = near == label
        for k in KS:
            recalls[k] += bool(hits[:k].any())
        gains = hits.cumsum(0) * hits / torch.arange(1, count)
        average_precision += float(gains[:possible].sum() / possible)
        precision += float(hits[:possible].sum() / possible)
    return average_precision / len(labels)


def other_library(embeddings: Tensor, labels: Tensor) -> float:
    """MAP@R of pytorch-metric-learning."""
    names = ("precision_at_1", "mean_average_precision_at_r", "r_precision")
    calculator = AccuracyCalculator(include=names, k="max_bin_count")
    return float(calculator.get_accuracy(embeddings, labels)["mean_average_precision_at_r"])


def ours(embeddings: Tensor, labels: Tensor, engine: str) -> float:
    """MAP@R of this project."""
    return retrieval_metrics(embeddings, labels, KS, engine=engine)["map@r"]


def products(embeddings: Tensor, labels: Tensor) -> None:
    """All products in float32, into memory that is used again."""
    out = embeddings.new_empty(max(1, 2**23 // len(labels)), len(labels))
    for block in embeddings.split(len(out)):
        torch.mm(block, embeddings.T, out=out[: len(block)])


METHODS: dict[str, Any] = {
    LOOP: per_query_loop,
    "pytorch-metric-learning": other_library,
    "gcahng, torch": partial(ours, engine="torch"),
    "gcahng, faiss": partial(ours, engine="faiss"),
    PRODUCTS: products,
}


if __name__ == "__main__":
    typer.run(main)
