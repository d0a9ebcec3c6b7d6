"""Write figures and embeddings of a run to TensorBoard; its projector shows the embeddings."""

from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from gcahng.data import ClassSubset, ImageDataset
from gcahng.evaluation.evaluate import embed
from gcahng.files import writing
from gcahng.reports.batch import thumbnail
from gcahng.runs.loading import LoadedRun

# The projector keeps all images in one sheet, whose size browsers limit.
IMAGES = 1000


def log_pictures(
    folder: Path, run: LoadedRun, dataset: ImageDataset, figures: Mapping[str, Figure]
) -> None:
    """Add figures, and the embeddings of about a thousand images, to a TensorBoard folder.

    Args:
        folder: The event folder of the run.
        run: The run, loaded.
        dataset: The split; its first classes are embedded, each as a whole.
        figures: By name.

    Raises:
        OSError: If they cannot be written.
    """
    step = run.epoch or 0
    shown = first_classes(dataset, IMAGES)
    names = [shown.classes[label] for label in shown.labels.tolist()]
    images = torch.stack([thumbnail(shown.load(i)) for i in range(len(shown))])
    embeddings = embed(run.embedder, shown, workers=run.config.data.workers).cpu()
    with writing(folder), SummaryWriter(str(folder), filename_suffix=".pictures") as writer:
        for name, figure in figures.items():
            writer.add_figure(f"batch graph/{name}", figure, step, close=False)
        writer.add_embedding(embeddings, names, images / 255, step, dataset.split)


def first_classes(dataset: ImageDataset, limit: int) -> ClassSubset:
    """The first classes of a data set that have at most `limit` images together; at least one."""
    counts = dataset.labels.bincount(minlength=dataset.num_classes).cumsum(0)
    many = max(1, int((counts <= limit).sum()))
    return ClassSubset(dataset, range(many), dataset.transform)
