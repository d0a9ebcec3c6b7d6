"""The report page of finished runs, with a gallery from one of them."""

import io
import shlex
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from gcahng.builders.networks import open_split
from gcahng.data import ImageDataset
from gcahng.evaluation.evaluate import embed
from gcahng.evaluation.retrieval import nearest_neighbours
from gcahng.reports.batch_pictures import TITLES, Selection, draw_batch
from gcahng.reports.gallery import retrieval_gallery
from gcahng.reports.page import BatchPictures, write_report
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import load_run
from gcahng.runs.record import RunRecord, read_record, selection_note

NEIGHBOURS = 8
# Dots per inch of a page's pictures.
RESOLUTION = 100


def report_runs(
    path: Path,
    title: str,
    records: Sequence[RunRecord],
    shown: RunFolder,
    notes: Sequence[str] = (),
) -> None:
    """Write one page about some runs; batch and gallery are of the best epoch of `shown`."""
    pictures, gallery = pictures_of(shown), gallery_of(shown)
    write_report(path, title, records, gallery=gallery, notes=notes, pictures=pictures)


def report_run(folder: RunFolder) -> None:
    """Write the report into a finished run's own folder."""
    record = read_record(folder, folder.path.name)
    title = f"Run {folder.path.name}"
    report_runs(folder.report, title, [record], folder, [selection_note([record])])


def pictures_of(folder: RunFolder) -> BatchPictures:
    """The first test batch of a run, drawn; no pictures, with the reason, where that cannot be."""
    try:
        drawn = draw_batch(folder.path, Selection(), folder)
    except Exception as error:  # a picture must not cost a training its report
        return BatchPictures(f"The batch could not be drawn: {type(error).__name__}: {error}", {})
    images = {}
    for name, figure in drawn.figures.items():
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=RESOLUTION)
        images[TITLES[name]] = file.getvalue()
    caption = (
        f"{drawn.title}. To look around in it, or at a larger batch: gcahng visualize "
        f"{shlex.quote(str(folder.path))}"
    )
    return BatchPictures(caption, images)


def gallery_of(folder: RunFolder) -> str:
    """Test queries of a run with their nearest neighbours, as HTML."""
    run = load_run(folder.path)
    dataset = open_split(run.config, "test", augment=False)
    embeddings = embed(run.embedder, dataset, workers=run.config.data.workers)
    gallery = len(dataset) - 1 if dataset.is_query is None else int((~dataset.is_query).sum())
    similarities, indices = nearest_neighbours(
        embeddings, min(NEIGHBOURS, gallery), is_query=dataset.is_query
    )
    return retrieval_gallery(
        _RawImages(dataset),
        dataset.labels,
        dataset.classes,
        similarities,
        indices,
        _queries(dataset),
    )


def _queries(dataset: ImageDataset) -> Tensor:
    if dataset.is_query is None:
        return torch.arange(len(dataset))
    return dataset.is_query.nonzero().flatten()


class _RawImages:
    """The images of a data set as they are on disk, by index."""

    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> object:
        return self.dataset.load(index)
