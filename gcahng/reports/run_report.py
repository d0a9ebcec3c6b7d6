"""The report page of a finished run, with pictures of a batch and a retrieval gallery."""

import io
import shlex

import torch
from torch import Tensor

from gcahng.data import ImageDataset
from gcahng.evaluation.classes import ClassFigures
from gcahng.evaluation.evaluate import figures_by_class
from gcahng.evaluation.ranking import rankable
from gcahng.evaluation.retrieval import nearest_neighbours
from gcahng.pages import data_uri
from gcahng.reports.batch_pictures import TITLES, Selection, draw_batch
from gcahng.reports.gallery import GalleryEntry, retrieval_gallery
from gcahng.reports.page import BatchPictures, PageImage, write_report
from gcahng.runs.embedding import EvaluatedRun
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import load_run
from gcahng.runs.record import read_record, selection_note
from gcahng.runs.verdict import verdict

NEIGHBOURS = 8
# Dots per inch of a page's pictures.
RESOLUTION = 100


def report_run(folder: RunFolder, evaluated: EvaluatedRun) -> None:
    """Write a finished run's report into its folder.

    Args:
        folder: The run.
        evaluated: Its best epoch with the embedded test split.

    Raises:
        FileNotFoundError: If the run has not finished.
    """
    record = read_record(folder, folder.path.name)
    write_report(
        folder.report,
        f"Run {folder.path.name}",
        record,
        gallery=gallery_of(evaluated),
        classes=tables_of(evaluated),
        notes=list(filter(None, (verdict(record), selection_note([record])))),
        pictures=pictures_of(evaluated, folder),
    )


def pictures_of(evaluated: EvaluatedRun, folder: RunFolder, split: str = "test") -> BatchPictures:
    """Draw the first batch of a run's split.

    If the split has no such batch, the report is written without it, and the caption says why.

    Args:
        evaluated: The run and the split.
        folder: The folder of the run.
        split: Name of the split; default `test`.
    """
    run = evaluated.run
    try:
        if folder.read_config().embedder.finish:
            # The generator knows the trained last layer, not the one that replaced it.
            run = load_run(folder.best, trust=run.trust, finished=False)
        drawn = draw_batch(run, Selection(split), folder, evaluated.dataset)
    except ValueError as error:
        return BatchPictures(f"The batch could not be drawn: {error}", [])
    images = []
    for name, figure in drawn.figures.items():
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=RESOLUTION)
        images.append(PageImage(TITLES[name], data_uri(file.getvalue(), "image/png")))
    caption = (
        f"{drawn.title}. For an interactive page, or a larger batch: gcahng visualize "
        f"{shlex.quote(str(folder.path))}"
    )
    return BatchPictures(caption, images)


def tables_of(evaluated: EvaluatedRun) -> ClassFigures:
    """Recall by class and confused classes of an embedded data set."""
    return figures_by_class(evaluated.embeddings, evaluated.dataset, evaluated.run.config)


def gallery_of(evaluated: EvaluatedRun) -> list[list[GalleryEntry]]:
    """Queries of the split with their nearest neighbours, as rows of `retrieval_gallery`."""
    dataset = evaluated.dataset
    gallery = len(dataset) - 1 if dataset.is_query is None else int((~dataset.is_query).sum())
    similarities, indices = nearest_neighbours(
        rankable(evaluated.embeddings), min(NEIGHBOURS, gallery), is_query=dataset.is_query
    )
    return retrieval_gallery(
        _RawImages(dataset),
        dataset.labels,
        dataset.classes,
        similarities.cpu(),
        indices.cpu(),
        _queries(dataset),
    )


def _queries(dataset: ImageDataset) -> Tensor:
    if dataset.is_query is None:
        return torch.arange(len(dataset))
    return dataset.is_query.nonzero().flatten()


class _RawImages:
    """The images of a data set without its transform, by index."""

    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> object:
        return self.dataset.load(index)
