"""What an evaluation of a model writes: figures, tables of classes and a page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from gcahng.files import write_text
from gcahng.reports.page import render
from gcahng.reports.result_table import CLASS_COLUMNS, PAIR_COLUMNS, figure_columns
from gcahng.reports.run_report import gallery_of, tables_of
from gcahng.reports.tables import Column
from gcahng.runs.csv_rows import csv_text
from gcahng.runs.embedding import EvaluatedRun

FILES = ("figures.json", "classes.csv", "pairs.csv", "evaluation.html")


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
