"""Compare approximate search with exact search."""

import random
from dataclasses import dataclass
from statistics import mean, median
from time import perf_counter

from gcahng.inference.store import PictureStore

SAMPLE = 200


@dataclass(frozen=True)
class Recall:
    """Approximate search compared with exact search.

    Attributes:
        recall: Share of the k nearest pictures that it finds, in [0, 1], mean over the queries.
        k: Number of neighbours.
        queries: Number of queries, pictures of the store.
        exact_ms: Median time of an exact search, in milliseconds.
        approximate_ms: The same of an approximate one.
    """

    recall: float
    k: int
    queries: int
    exact_ms: float
    approximate_ms: float

    def __str__(self) -> str:
        return (
            f"the index finds {100 * self.recall:.1f} % of the {self.k} nearest (mean over "
            f"{self.queries} pictures), in {self.approximate_ms:.1f} ms instead of "
            f"{self.exact_ms:.1f} ms"
        )


def measure_recall(
    store: PictureStore, k: int = 10, queries: int = SAMPLE, seed: int = 0
) -> Recall:
    """Search for pictures of the store with its index and exactly.

    Args:
        store: With an index.
        k: Number of neighbours.
        queries: Number of pictures to search for.
        seed: Which pictures.
    """
    ids = store.ids()
    chosen = random.Random(seed).sample(ids, min(queries, len(ids)))
    shares, times = [], {True: [0.0], False: [0.0]}
    for number, key in enumerate(chosen):
        vector, found = store.vector(key), {}
        for exact in times:
            start = perf_counter()
            found[exact] = {near.id for near in store.search(vector, k, exact=exact)}
            if number:  # the first opens files
                times[exact].append(1000 * (perf_counter() - start))
        shares.append(len(found[True] & found[False]) / len(found[True]))
    exact_ms, approximate_ms = (median(times[exact][1:] or [0.0]) for exact in (True, False))
    return Recall(mean(shares), k, len(chosen), exact_ms, approximate_ms)
