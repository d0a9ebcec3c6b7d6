"""The page about a finished run, and the files of `gcahng evaluate --out`."""

import io
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gcahng.evaluation.evaluate import figures_by_class, nearest_of_queries
from gcahng.files import csv_text, write_text
from gcahng.pages import data_uri, fill_template
from gcahng.reports.batch_pictures import TITLES, draw_batch
from gcahng.reports.curves import SPLITS, loss_panels, retrieval_panels
from gcahng.reports.gallery import GalleryEntry, retrieval_gallery
from gcahng.reports.tables import CLASS_COLUMNS, Column, figure_columns, result_columns, result_rows
from gcahng.runs.embedding import EvaluatedRun
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import load_run
from gcahng.runs.record import RunRecord, figures_after, read_record, selection_note
from gcahng.runs.verdict import verdict

NEIGHBOURS = 8
# Dots per inch of a page's pictures.
RESOLUTION = 100


@dataclass(frozen=True)
class BatchPictures:
    """Pictures of a batch by title, as `data:` URIs; which batch, or why there are none."""

    caption: str
    images: Mapping[str, str] = field(default_factory=dict)


def report_run(folder: RunFolder, evaluated: EvaluatedRun) -> None:
    """Write a finished run's report into its folder."""
    record = read_record(folder, folder.path.name)
    write_report(
        folder.report,
        f"Run {folder.path.name}",
        record,
        gallery=gallery_of(evaluated),
        classes=figures_by_class(evaluated.embeddings, evaluated.dataset, evaluated.run.config),
        notes=list(filter(None, (verdict(record), selection_note([record])))),
        # Without steps there are no batches.
        pictures=pictures_of(evaluated, folder) if record.results["epochs"] else None,
    )


def write_report(path: Path, title: str, run: RunRecord, **shown: Any) -> None:
    """Write the page about a finished run: results, curves and configuration.

    Also its `notes`, the recall of its `classes`, a `gallery`, and `pictures` of a batch, if given.
    """
    page = _render(
        "run.html",
        title=title,
        run=run,
        columns=result_columns(run),
        rows=result_rows(run),
        curves=retrieval_panels(_with_start(run)),
        losses=loss_panels(run.history),
        **shown,
    )
    write_text(path, page)


def _with_start(run: RunRecord) -> dict[str, Sequence[Mapping[str, float]]]:
    """The history of a run from its start on, and a level line for its backbone's features."""
    last = max([row.get("epoch", 0.0) for row in run.history], default=0.0)
    level: dict[str, float] = {}
    start: dict[str, float] = {}
    for split in SPLITS:
        if any(key.startswith(f"{split}/") for row in run.history for key in row):
            for figures, source in ((level, "features"), (start, "head")):
                found = figures_after(run, source, split)
                figures |= {f"{split}/{name}": value for name, value in found.items()}
    if not level:
        return {run.name: run.history}
    return {
        run.name: [{"epoch": 0.0} | start, *run.history],
        "features before training": [{"epoch": 0.0} | level, {"epoch": last} | level],
    }


def pictures_of(evaluated: EvaluatedRun, folder: RunFolder) -> BatchPictures:
    """Draw the first batch of a run's test split; if there is none, the caption says why."""
    run = evaluated.run
    try:
        if folder.read_config().embedder.finish:
            # The generator knows the trained last layer, not the one that replaced it.
            run = load_run(folder.best, trust=run.trust, finished=False)
        drawn = draw_batch(run, dataset=evaluated.dataset)
    except ValueError as error:
        return BatchPictures(f"The batch could not be drawn: {error}")
    images = {}
    for name, figure in drawn.figures.items():
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=RESOLUTION)
        images[TITLES[name]] = data_uri(file.getvalue(), "image/png")
    caption = (
        f"{drawn.title}. For an interactive page, or a larger batch: gcahng visualize "
        f"{shlex.quote(str(folder.path))}"
    )
    return BatchPictures(caption, images)


def gallery_of(evaluated: EvaluatedRun) -> list[list[GalleryEntry]]:
    """Queries of the split with their nearest neighbours, as rows of `retrieval_gallery`."""
    measured = evaluated.embeddings, evaluated.dataset, evaluated.run.config
    return retrieval_gallery(evaluated.dataset, nearest_of_queries(*measured, NEIGHBOURS))


def write_evaluation(
    folder: Path,
    evaluated: EvaluatedRun,
    title: str,
    figures: Mapping[str, float],
    gained: Mapping[str, float],
    notes: Sequence[str] = (),
) -> None:
    """Write `figures.json`, `classes.csv` and `evaluation.html` into a folder."""
    dataset = evaluated.dataset
    classes = figures_by_class(evaluated.embeddings, dataset, evaluated.run.config)
    facts = {
        "model": str(evaluated.run.path),
        "dataset": dataset.name,
        "split": dataset.split,
        "classes": dataset.num_classes,
        "images": len(dataset),
        "figures": dict(figures),
        "compared": dict(gained),
    }
    page = _render(
        "evaluation.html",
        title=title,
        notes=notes,
        columns=[Column("split", "split"), *figure_columns(figures)],
        figures={"split": dataset.split, **figures},
        classes=classes,
        gallery=gallery_of(evaluated),
    )
    write_text(folder / "figures.json", json.dumps(facts, indent=2) + "\n")
    write_text(folder / "classes.csv", csv_text(classes, [one.key for one in CLASS_COLUMNS]))
    write_text(folder / "evaluation.html", page)


def _render(template: str, **values: Any) -> str:
    return fill_template("gcahng.reports", template, class_columns=CLASS_COLUMNS, **values)
