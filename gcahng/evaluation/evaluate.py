"""Embed a data set and compute its retrieval metrics."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from gcahng.config import ExperimentConfig
from gcahng.data import ImageDataset, ImageLoader
from gcahng.evaluation.ranking import rankable
from gcahng.evaluation.retrieval import QueryScores, nearest_neighbours, query_scores
from gcahng.processes import Group, gather_rows, own_part, world_size

BATCH_SIZE = 256

Progress = Callable[[int, int], None]


class Nearest(NamedTuple):
    """Numbers of the queries `[Q]`, and of their nearest images `[Q, k]`, on the CPU."""

    queries: Tensor
    similarities: Tensor
    indices: Tensor

    def right(self, labels: Tensor) -> Tensor:
        """Whether the first image is of the query's class `[Q]`, by the labels of all images."""
        return labels[self.indices[:, 0]] == labels[self.queries]


@torch.inference_mode()
def embed(
    embedder: nn.Module,
    dataset: ImageDataset | Subset[Any],
    *,
    batch_size: int = BATCH_SIZE,
    workers: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Return the embeddings `[N, D]` of a data set, in order and on the embedder's device.

    The embedder is used in eval mode, which is restored afterwards; `progress` is called after each
    batch with the number of embedded images and the total.
    """
    # A network without parameters, such as one that flattens images, runs on the CPU.
    parameter = next(embedder.parameters(), torch.empty(0))
    # A separate generator, because the loader would otherwise advance the global random state.
    generator = torch.Generator().manual_seed(0)
    loader = ImageLoader(dataset, batch_size=batch_size, num_workers=workers, generator=generator)
    was_training = embedder.training
    embedder.eval()
    batches, done = [], 0
    try:
        for images, _ in loader:
            images = images.to(parameter.device, parameter.dtype, non_blocking=True)
            batches.append(embedder(images))
            done += len(images)
            if progress is not None:
                progress(done, len(dataset))
    finally:
        embedder.train(was_training)
    return torch.cat(batches)


def embed_together(
    embedder: nn.Module, dataset: ImageDataset, group: Group, **settings: Any
) -> Tensor:
    """Embed a data set as `embed` does, each process of a group a part; `[N, D]` on all of them."""
    total = len(dataset)
    if not 1 < world_size(group) <= total:
        return embed(embedder, dataset, **settings)
    part = Subset(dataset, range(total)[own_part(total, group)])
    return gather_rows(embed(embedder, part, **settings), total, group)


def scores_of_queries(
    embeddings: Tensor, dataset: ImageDataset, config: ExperimentConfig
) -> QueryScores:
    """Score every query, measured as an experiment configures it."""
    protocol = _protocol(dataset, config)
    return query_scores(rankable(embeddings), dataset.labels, config.eval.ks, **protocol)


def nearest_of_queries(
    embeddings: Tensor, dataset: ImageDataset, config: ExperimentConfig, most: int = 1
) -> Nearest:
    """Find the nearest images of every query, at most so many, as `scores_of_queries` does."""
    queries, reach = torch.arange(len(dataset)), len(dataset) - 1
    if dataset.is_query is not None:
        queries = dataset.is_query.nonzero()[:, 0].cpu()
        reach = len(dataset) - len(queries)
    protocol = _protocol(dataset, config)
    found = nearest_neighbours(rankable(embeddings), min(most, reach), **protocol)
    return Nearest(queries, *(part.cpu() for part in found))


def figures_by_class(
    embeddings: Tensor, dataset: ImageDataset, config: ExperimentConfig
) -> list[dict[str, Any]]:
    """Compare the class of every query with that of its nearest image, by `nearest_of_queries`.

    Returns:
        One row for each class with queries, the lowest recall first: `class`; `queries`, their
        number; `recall@1`; `taken_for`, the class that its other queries find most often, and
        `taken`, how often, both None if all are right. The mean of the recalls, weighted by the
        queries, is Recall@1.
    """
    nearest = nearest_of_queries(embeddings, dataset, config)
    labels = dataset.labels.cpu()
    asked = labels[nearest.queries].tolist()
    counts = Counter(zip(asked, labels[nearest.indices[:, 0]].tolist(), strict=True))
    rows = []
    for label, total in sorted(Counter(asked).items()):
        wrong = [(-n, other) for (own, other), n in counts.items() if own == label != other]
        taken, other = min(wrong, default=(None, None))
        row = {"class": dataset.classes[label], "queries": total}
        row |= {"recall@1": counts[label, label] / total, "taken": taken and -taken}
        rows.append(row | {"taken_for": None if other is None else dataset.classes[other]})
    return sorted(rows, key=lambda row: row["recall@1"])


def _protocol(dataset: ImageDataset, config: ExperimentConfig) -> dict[str, Any]:
    return {
        "is_query": dataset.is_query,
        "engine": config.eval.engine,
        "exclude": "first" if config.quirks.evaluation == "faithful" else "self",
    }
