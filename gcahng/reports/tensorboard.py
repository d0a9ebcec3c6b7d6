"""Write figures and embeddings of a run to TensorBoard; its projector shows the embeddings."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import torch
from matplotlib.figure import Figure
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

from gcahng.data import ClassSubset, ImageDataset
from gcahng.evaluation.evaluate import embed
from gcahng.files import writing
from gcahng.reports.batch import thumbnail
from gcahng.runs.events import new_file, write_values
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
    values = [_picture(f"batch graph/{name}", figure) for name, figure in figures.items()]
    write_values(new_file(folder, ".pictures"), values, step)
    with writing(folder), SummaryWriter(str(folder), filename_suffix=".embeddings") as writer:
        writer.add_embedding(embeddings, names, images / 255, step, dataset.split)


def _picture(tag: str, figure: Figure) -> Summary.Value:
    content = BytesIO()
    figure.savefig(content, format="png")
    image = Summary.Image(encoded_image_string=content.getvalue(), colorspace=4)
    image.width, image.height = figure.canvas.get_width_height()
    return Summary.Value(tag=tag, image=image)


def first_classes(dataset: ImageDataset, limit: int) -> ClassSubset:
    """The first classes of a data set that have at most `limit` images together; at least one."""
    counts = dataset.labels.bincount(minlength=dataset.num_classes).cumsum(0)
    many = max(1, int((counts <= limit).sum()))
    return ClassSubset(dataset, range(many), dataset.transform)
