"""The report page of a finished run, with pictures of a batch and a retrieval gallery."""

import io
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from gcahng.evaluation.classes import ClassFigures
from gcahng.evaluation.evaluate import figures_by_class, nearest_of_queries
from gcahng.files import csv_text, write_text
from gcahng.pages import data_uri
from gcahng.reports.batch_pictures import TITLES, Selection, draw_batch
from gcahng.reports.gallery import GalleryEntry, RawImages, retrieval_gallery
from gcahng.reports.page import BatchPictures, PageImage, render, write_report
from gcahng.reports.result_table import CLASS_COLUMNS, PAIR_COLUMNS, figure_columns
from gcahng.reports.tables import Column
from gcahng.runs.embedding import EvaluatedRun
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import load_run
from gcahng.runs.record import read_record, selection_note
from gcahng.runs.verdict import verdict

NEIGHBOURS = 8
FILES = ("figures.json", "classes.csv", "pairs.csv", "evaluation.html")
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
    found = nearest_of_queries(evaluated.embeddings, dataset, evaluated.run.config, NEIGHBOURS)
    return retrieval_gallery(
        RawImages(dataset),
        dataset.labels,
        dataset.classes,
        found.similarities,
        found.indices,
        found.queries,
    )


def write_evaluation(
    folder: Path,
    evaluated: EvaluatedRun,
    title: str,
    figures: Mapping[str, float],
    gained: Mapping[str, float],
    notes: Sequence[str] = (),
) -> None:
    """Write `FILES` into a folder, which is created if missing.

    Args:
        folder: Where; earlier files of these names are replaced.
        evaluated: The model and the embedded data set.
        title: Which model on which data.
        figures: Figures by name, as fractions.
        gained: Gains over the untrained backbone, for the file alone.
        notes: Sentences below the heading.
    """
    dataset, tables = evaluated.dataset, tables_of(evaluated)
    facts = {
        "model": str(evaluated.run.path),
        "dataset": dataset.name,
        "split": dataset.split,
        "classes": dataset.num_classes,
        "images": len(dataset),
        "figures": dict(figures),
        "compared": dict(gained),
    }
    write_text(folder / "figures.json", json.dumps(facts, indent=2) + "\n")
    write_text(folder / "classes.csv", csv_text(tables.classes, [one.key for one in CLASS_COLUMNS]))
    write_text(folder / "pairs.csv", csv_text(tables.pairs, [one.key for one in PAIR_COLUMNS]))
    page = render(
        "evaluation.html",
        title=title,
        notes=notes,
        columns=[Column("split", "split"), *figure_columns(figures)],
        figures={"split": dataset.split, **figures},
        classes=tables,
        gallery=gallery_of(evaluated),
    )
    write_text(folder / "evaluation.html", page)
