"""Figures of a run and its embeddings for TensorBoard, whose projector shows the latter."""

from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from gcahng.data import ClassSubset, ImageDataset
from gcahng.evaluation.evaluate import embed
from gcahng.reports.batch import thumbnail
from gcahng.runs.loading import LoadedRun

# The projector draws its images from one sheet, and browsers limit that.
IMAGES = 1000


def log_pictures(
    folder: Path, run: LoadedRun, dataset: ImageDataset, figures: Mapping[str, Figure]
) -> None:
    """Add figures, and the embeddings of about a thousand images, to a TensorBoard folder.

    Args:
        folder: Of the run's events.
        run: Its embedder embeds the images.
        dataset: The split; whole classes are taken from the first on.
        figures: By name.
    """
    step = run.epoch or 0
    shown = first_classes(dataset, IMAGES)
    names = [shown.classes[label] for label in shown.labels.tolist()]
    images = torch.stack([thumbnail(shown.load(i)) for i in range(len(shown))])
    embeddings = embed(run.embedder, shown, workers=run.config.data.workers)
    with SummaryWriter(str(folder), filename_suffix=".pictures") as writer:
        for name, figure in figures.items():
            writer.add_figure(f"batch graph/{name}", figure, step, close=False)
        writer.add_embedding(embeddings, names, images / 255, step, dataset.split)


def first_classes(dataset: ImageDataset, limit: int) -> ClassSubset:
    """As many whole classes of a data set as have at most `limit` images, at least one."""
    counts = dataset.labels.bincount(minlength=dataset.num_classes).cumsum(0)
    many = max(1, int((counts <= limit).sum()))
    return ClassSubset(dataset, range(many), dataset.transform)
