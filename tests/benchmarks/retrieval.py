"""Time of the retrieval metrics, and of a store of pictures.

python -m tests.benchmarks.retrieval metrics  # docs/results/retrieval.md and .csv
python -m tests.benchmarks.retrieval store    # docs/results/search.md and .csv
"""

import tempfile
from functools import partial
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any

import faiss
import torch
import typer
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch import Tensor

from gcahng.evaluation.retrieval import retrieval_metrics
from gcahng.inference.store import EmbeddedPicture, PictureStore, StoreModel
from gcahng.pictures import FileState, PictureFile
from gcahng.training.cost import measure_time, peak_memory_mib, reset_peak_memory
from gcahng.training.measure_step import median_ratio, median_times, time_in_turn
from tests.benchmarks.common import CLASS_SIZE, CPU, MIB, Out, Rows, draw_vectors, report

app = typer.Typer(add_completion=False)
KS = (1, 2, 4, 8)
# Classes overlap, so that the metrics are far from 1.
SPREAD = 2.5
# More embeddings are measured once.
MANY = 20_000
LOOP, PRODUCTS = "per-query loop", "float32 products alone"


@app.command()
def metrics(
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


@app.command()
def store(counts: str = "10000,100000", dim: int = 512, threads: int = 1, out: Path = Out) -> None:
    """Fill a store with drawn vectors, search it exactly, build an index and search with it."""
    torch.set_num_threads(threads)
    rows: Rows = []
    for count in map(int, counts.split(",")):
        pictures, size = _pictures(draw_vectors(count, dim)), 512
        with tempfile.TemporaryDirectory() as folder:
            made = PictureStore.create(folder, StoreModel("drawn", "drawn", dim))
            reset_peak_memory(CPU)
            before, row = peak_memory_mib(CPU), {"vectors": count}
            parts = [pictures[start : start + size] for start in range(0, count, size)]
            row["write_s"] = measure_time(lambda: [made.write(part) for part in parts], CPU)[0]  # noqa: B023
            row["compact_s"] = measure_time(made.compact, CPU)[0]
            row["mib"] = peak_memory_mib(CPU) - before
            row["index_s"] = measure_time(made.build_index, CPU)[0]
            recall, row["exact_ms"], row["ann_ms"] = _recall(
                made, pictures[:: max(1, count // 200)]
            )
            files = (path for path in Path(folder).rglob("*") if path.is_file())
            row |= {"disk_mib": sum(path.stat().st_size for path in files) / MIB}
            rows.append({**row, "recall": recall})
    report("search", rows, out)


def _recall(store: PictureStore, queries: list[EmbeddedPicture]) -> tuple[float, float, float]:
    """Share of the 10 nearest that the index finds, and median times of both searches in ms."""
    shares, times = [], {True: [], False: []}
    for query in queries:
        found = {}
        for exact, taken in times.items():
            start = perf_counter()
            found[exact] = {near.id for near in store.search(query.vector, exact=exact)}
            taken.append(1000 * (perf_counter() - start))
        shares.append(len(found[True] & found[False]) / len(found[True]))
    return mean(shares), median(times[True]), median(times[False])


def _pictures(vectors: Tensor) -> list[EmbeddedPicture]:
    state, thumbnail = FileState(0, 0), bytes(6000)
    return [
        EmbeddedPicture(PictureFile(f"/drawn/{i:08d}.jpg", "drawn"), state, vector, thumbnail)
        for i, vector in enumerate(vectors)
    ]


if __name__ == "__main__":
    app()
