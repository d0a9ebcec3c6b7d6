"""HTML pages from the templates in `templates/`: each is one file that needs no network."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from gcahng.files import write_text
from gcahng.reports.class_tables import ClassTables
from gcahng.reports.curves import loss_panels, retrieval_panels
from gcahng.reports.data_uri import data_uri
from gcahng.reports.gallery import GalleryEntry
from gcahng.reports.result_table import start_names
from gcahng.reports.tables import Column
from gcahng.runs.record import RunRecord, figures_after

TITLES = {"map@r": "MAP@R [%]", "r_precision": "R-Prec. [%]"}
COSTS = (
    Column("seconds", "training time [s]", "seconds"),
    Column("peak_memory_mib", "peak memory [MiB]", "mib"),
)


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
    """Fill one of the templates; every value is escaped.

    Args:
        template: File name in `templates/`, such as `run.html`.
        **values: What the template shows.

    Raises:
        jinja2.UndefinedError: If the template needs a value that is missing.
    """
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("gcahng.reports"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)


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
    classes: ClassTables | None = None,
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
    keys = _figure_keys(run)
    page = render(
        "run.html",
        title=title,
        notes=notes,
        head=["run", "epoch", *map(_figure_title, keys), *(cost.title for cost in COSTS)],
        run=run,
        results=_result_rows(run, keys),
        costs=[cost.show(run.results) for cost in COSTS],
        curves=svg_images(retrieval_panels(_with_start(run))),
        losses=svg_images(loss_panels(run.history)),
        pictures=pictures,
        gallery=gallery,
        classes=classes,
    )
    write_text(path, page)


def _figure_keys(run: RunRecord) -> list[str]:
    """Names of all retrieval figures that a run has, those of the last epoch first."""
    keys = (
        key.removeprefix(f"{which}/")
        for which in ("last", "best")
        for key in run.results
        if key.startswith(f"{which}/")
    )
    return list(dict.fromkeys(keys))


def _figure_title(key: str) -> str:
    return TITLES.get(key, key.replace("recall@", "R@") + " [%]")


def _result_rows(run: RunRecord, keys: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of the table, as text: before training, after the last epoch and after the best."""
    last_epoch = run.history[-1].get("epoch") if run.history else None
    epochs = start_names(run.results) | {
        "last": _epoch("last", last_epoch),
        "best": _epoch("best", run.results.get("best_epoch")),
    }
    if run.results.get("epochs") == 0:
        del epochs["last"]
    return [
        {
            "epoch": epoch,
            "figures": [Column(f"{which}/{key}", "", "percent").show(run.results) for key in keys],
        }
        for which, epoch in epochs.items()
        if which in ("last", "best") or figures_after(run, which)
    ]


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


def _epoch(which: str, epoch: float | None) -> str:
    known = epoch is not None and math.isfinite(epoch)
    return f"{which} ({epoch:.0f})" if known else which
