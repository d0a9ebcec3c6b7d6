"""The process that `gcahng benchmark --vectors` starts for a number of pictures."""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from gcahng.benchmark.drawn_vectors import draw_vectors
from gcahng.benchmark.measure import CPU
from gcahng.benchmark.workers import Job, work
from gcahng.inference.indexing import measure_recall
from gcahng.inference.store import EmbeddedPicture, PictureStore, StoreModel
from gcahng.pictures import FileState, PictureFile
from gcahng.training.peak_memory import peak_memory_mib, reset_peak_memory

TRANSACTION = 512
# Size of a typical thumbnail.
THUMBNAIL_BYTES = 6000
QUERIES = 50


def measure(job: Job) -> dict[str, Any]:
    """Fill a store with drawn vectors, search it exactly, build an index and search with it.

    Returns:
        Seconds to write and to build the index, milliseconds of a search, recall@10, and the
        memory of the process and on disk in MiB.
    """
    count, dim = job["vectors"], job["dim"]
    vectors = draw_vectors(count, dim)
    with tempfile.TemporaryDirectory(prefix="gcahng-benchmark-") as folder:
        store = PictureStore.create(folder, StoreModel("drawn", "drawn", dim))
        reset_peak_memory(CPU)
        before, start = peak_memory_mib(CPU), time.perf_counter()
        for first in range(0, count, TRANSACTION):
            store.write(_pictures(vectors, first, min(first + TRANSACTION, count)))
        found: dict[str, Any] = {"write_s": time.perf_counter() - start}
        start = time.perf_counter()
        store.compact()
        found["compact_s"] = time.perf_counter() - start
        found["exact_ms"] = _search_ms(store, vectors)
        found["mib"] = peak_memory_mib(CPU) - before
        start = time.perf_counter()
        store.build_index()
        found["index_s"] = time.perf_counter() - start
        recall = measure_recall(store)
        found |= {"ann_ms": recall.approximate_ms, "recall": recall.recall}
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        found["disk_mib"] = size / 2**20
    return found


def _pictures(vectors: torch.Tensor, start: int, end: int) -> list[EmbeddedPicture]:
    state, thumbnail = FileState(0, 0, ""), bytes(THUMBNAIL_BYTES)
    return [
        EmbeddedPicture(PictureFile(f"/drawn/{i:08d}.jpg", "drawn"), state, vectors[i], thumbnail)
        for i in range(start, end)
    ]


def _search_ms(store: PictureStore, vectors: torch.Tensor) -> float:
    times = []
    for vector in vectors[:QUERIES]:
        start = time.perf_counter()
        store.search(vector, exact=True)
        times.append(1000 * (time.perf_counter() - start))
    return median(times[1:])


if __name__ == "__main__":
    work(measure)
