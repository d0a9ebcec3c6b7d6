"""Models against the first of them, on the same images: figures, classes, queries, and a page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gcahng.config import ExperimentConfig
from gcahng.data import ImageDataset
from gcahng.evaluation.comparison import Changes, changes, gains
from gcahng.evaluation.evaluate import Nearest, nearest_of_queries, scores_of_queries
from gcahng.files import csv_text, write_text
from gcahng.pages import fill_template
from gcahng.reports.gallery import GalleryEntry, retrieval_gallery
from gcahng.reports.tables import Column, figure_columns
from gcahng.runs.verdict import gains_in_words

CLASS_CHANGES = (
    Column("class", "class"),
    Column("queries", "queries", ".0f"),
    Column("first", "R@1 of the first [%]", ".2%"),
    Column("second", "R@1 [%]", ".2%"),
    Column("difference", "difference", "+.2%"),
    Column("gained", "gained", ".0f"),
    Column("lost", "lost", ".0f"),
)
# Queries that a page shows of those gained, and of those lost.
PICTURES = 12


@dataclass(frozen=True)
class ComparedModel:
    """A model against the first of several, which is compared with itself."""

    name: str
    figures: Mapping[str, float]
    gained: Mapping[str, float]
    nearest: Nearest
    changes: Changes


def compare_models(
    embedded: Iterable[tuple[str, Tensor]], dataset: ImageDataset, config: ExperimentConfig
) -> list[ComparedModel]:
    """Compare embeddings `[N, D]` of the same images, by their models' names, with the first."""
    models: list[ComparedModel] = []
    for name, z in embedded:
        scores = scores_of_queries(z, dataset, config)
        nearest = nearest_of_queries(z, dataset, config)
        right = nearest.right(dataset.labels)
        if not models:
            reference, before = scores, right
        changed = changes(before, right, dataset.labels[nearest.queries], dataset.classes)
        gained = gains(scores, reference)
        models.append(ComparedModel(name, scores.means(), gained, nearest, changed))
    return models


def sentence(model: ComparedModel, first: ComparedModel) -> str:
    """Say by how much a model differs from the first, and in how many queries."""
    gained, lost = len(model.changes.gained), len(model.changes.lost)
    return (
        f"{model.name} against {first.name}: {gains_in_words(model.gained)} At R@1, {gained} of "
        f"{len(model.nearest.queries)} queries are right by {model.name} alone (gained), {lost} by "
        f"{first.name} alone (lost)."
    )


def most_changed(model: ComparedModel, most: int) -> list[tuple[str, list[dict[str, Any]]]]:
    """The classes that gained the most and those that lost the most, each with its title."""
    rows = model.changes.classes
    gained = [row for row in rows if row["difference"] > 0]
    lost = [row for row in reversed(rows) if row["difference"] < 0]
    found = (("Classes that gained the most", gained), ("Classes that lost the most", lost))
    return [(title, rows[:most]) for title, rows in found if rows]


def write_comparison(
    folder: Path,
    title: str,
    models: Sequence[ComparedModel],
    dataset: ImageDataset,
    notes: Sequence[str],
) -> None:
    """Write a page and `figures.csv`, `classes.csv`, `queries.csv` into a folder."""
    first, *others = models
    figures = [{"model": one.name, **one.figures, **one.gained} for one in models]
    classes = [{"model": one.name, **row} for one in others for row in one.changes.classes]
    queries = list(chain.from_iterable(_queries(one, first, dataset) for one in others))
    write_text(folder / "figures.csv", csv_text(figures))
    write_text(folder / "classes.csv", csv_text(classes))
    header = "model query path class change first_nearest first_class nearest nearest_class"
    write_text(folder / "queries.csv", csv_text(queries, header.split()))
    page = fill_template(
        "gcahng.reports",
        "comparison.html",
        title=title,
        notes=notes,
        columns=[Column("model", "model"), *figure_columns(first.figures)],
        figures=figures,
        class_changes=CLASS_CHANGES,
        sections=[
            (one, sentence(one, first), most_changed(one, 10), _galleries(one, first, dataset))
            for one in others
        ],
    )
    write_text(folder / "comparison.html", page)


def _queries(
    model: ComparedModel, first: ComparedModel, dataset: ImageDataset
) -> Iterable[dict[str, Any]]:
    """Rows of the queries that the first nearest pictures make right or wrong."""
    paths = getattr(dataset, "paths", None)
    for change, positions in (("gained", model.changes.gained), ("lost", model.changes.lost)):
        for position in positions.tolist():
            query = int(model.nearest.queries[position])
            row = {"model": model.name, "query": query, "path": paths and paths[query]}
            row |= {"class": dataset.classes[dataset.labels[query]], "change": change}
            for key, one in (("first_", first), ("", model)):
                found = int(one.nearest.indices[position, 0])
                row[f"{key}nearest"] = found
                row[f"{key or 'nearest_'}class"] = dataset.classes[dataset.labels[found]]
            yield row


def _galleries(
    model: ComparedModel, first: ComparedModel, dataset: ImageDataset
) -> list[tuple[str, list[list[GalleryEntry]]]]:
    """Some queries gained and some lost: the query, its nearest by the first and by the model."""
    similarities = torch.cat([first.nearest.similarities, model.nearest.similarities], dim=1)
    indices = torch.cat([first.nearest.indices, model.nearest.indices], dim=1)
    titles = (f"Right by {model.name} alone", f"Right by {first.name} alone")
    found = []
    for title, rows in zip(titles, model.changes[:2], strict=True):
        nearest = Nearest(model.nearest.queries[rows], similarities[rows], indices[rows])
        pictures = retrieval_gallery(dataset, nearest, PICTURES)
        found.append((f"{title}: {len(pictures)} of {len(rows)} queries", pictures))
    return found
