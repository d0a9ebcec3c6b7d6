"""The page about a finished run, and what pages of reports show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcahng.evaluation.classes import ClassFigures
from gcahng.files import write_text
from gcahng.pages import data_uri, fill_template
from gcahng.reports.curves import loss_panels, retrieval_panels
from gcahng.reports.gallery import GalleryEntry
from gcahng.reports.result_table import CLASS_COLUMNS, PAIR_COLUMNS, result_columns, result_rows
from gcahng.runs.record import RunRecord, figures_after


@dataclass(frozen=True)
class PageImage:
    """One image of a page.

    Attributes:
        title: Shown as a heading or as the alternative text.
        source: The image itself as a `data:` URI.
    """

    title: str
    source: str


@dataclass(frozen=True)
class BatchPictures:
    """Pictures of one batch.

    Attributes:
        caption: Which batch it is, or why there are no pictures.
        images: The pictures in the order shown.
    """

    caption: str
    images: Sequence[PageImage]


def render(template: str, **values: Any) -> str:
    """Fill one of the templates of reports, such as `run.html`."""
    columns = {"class_columns": CLASS_COLUMNS, "pair_columns": PAIR_COLUMNS}
    return fill_template("gcahng.reports", template, **columns, **values)


def svg_images(documents: Mapping[str, str]) -> list[PageImage]:
    """Turn SVG documents by title into images of a page."""
    return [
        PageImage(title, data_uri(svg.encode("utf-8"), "image/svg+xml"))
        for title, svg in documents.items()
    ]


def write_report(
    path: str | Path,
    title: str,
    run: RunRecord,
    gallery: Sequence[Sequence[GalleryEntry]] | None = None,
    notes: Sequence[str] = (),
    pictures: BatchPictures | None = None,
    classes: ClassFigures | None = None,
) -> None:
    """Write the page about a finished run: results, curves, pictures and configuration.

    Args:
        path: File to write, replaced as a whole.
        title: Heading of the page.
        run: The run.
        gallery: Rows of `retrieval_gallery`; left out by default.
        notes: Sentences below the heading.
        pictures: Pictures of one batch; left out by default.
        classes: Recall by class of the best epoch, and confused classes; left out by default.
    """
    page = render(
        "run.html",
        title=title,
        notes=notes,
        run=run,
        columns=result_columns(run),
        rows=result_rows(run),
        curves=svg_images(retrieval_panels(_with_start(run))),
        losses=svg_images(loss_panels(run.history)),
        pictures=pictures,
        gallery=gallery,
        classes=classes,
    )
    write_text(path, page)


def _with_start(run: RunRecord) -> dict[str, Sequence[Mapping[str, float]]]:
    """The history of a run from before training on, and a level line for its backbone's features.

    These are of the split that chooses the best epoch, as the history is.
    """
    begin = {"epoch": 0.0, "seconds": 0.0}
    end = {key: max([row.get(key, 0.0) for row in run.history], default=0.0) for key in begin}
    level: dict[str, float] = {}
    start: dict[str, float] = {}
    for split, prefix in (("test", "zero_shot"), ("val", "zero_shot/val")):
        if any(key.startswith(f"{split}/") for row in run.history for key in row):
            for figures, source in ((level, "features"), (start, "head")):
                found = figures_after(run, f"{prefix}/{source}")
                figures |= {f"{split}/{name}": value for name, value in found.items()}
    if not level:
        return {run.name: run.history}
    return {
        run.name: [begin | start, *run.history],
        "features before training": [begin | level, end | level],
    }
