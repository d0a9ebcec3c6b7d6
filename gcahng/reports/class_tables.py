"""Tables of recall by class and of confused classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from gcahng.evaluation.classes import ClassFigures
from gcahng.evaluation.evaluate import figures_by_class
from gcahng.reports.tables import Column, Row
from gcahng.runs.embedding import EvaluatedRun

CLASS_COLUMNS = (
    Column("class", "class"),
    Column("queries", "queries", "integer"),
    Column("recall@1", "R@1 [%]", "percent"),
    Column("taken_for", "most often taken for"),
    Column("taken", "times", "integer"),
)
PAIR_COLUMNS = (
    Column("first", "class"),
    Column("second", "and class"),
    Column("share", "confused [%]", "percent"),
    Column("first_as_second", "1st as 2nd", "integer"),
    Column("second_as_first", "2nd as 1st", "integer"),
    Column("queries", "queries", "integer"),
)


@dataclass(frozen=True)
class ClassTables:
    """Recall by class and the confused classes, as rows of tables.

    Attributes:
        classes: A row per class for `CLASS_COLUMNS`, the lowest recall first.
        pairs: A row per confused pair for `PAIR_COLUMNS`, the most confused first.
    """

    classes: list[Row]
    pairs: list[Row]
    class_columns: ClassVar[Sequence[Column]] = CLASS_COLUMNS
    pair_columns: ClassVar[Sequence[Column]] = PAIR_COLUMNS


def tables_of(evaluated: EvaluatedRun) -> ClassTables:
    """Tables of the classes of an embedded data set."""
    dataset = evaluated.dataset
    figures = figures_by_class(evaluated.embeddings, dataset, evaluated.run.config)
    return class_tables(figures, dataset.classes)


def class_tables(figures: ClassFigures, names: Sequence[str]) -> ClassTables:
    """Put figures of classes into rows.

    Args:
        figures: The figures.
        names: Name of each class by label.

    Example:
        >>> import torch
        >>> from gcahng.evaluation.classes import class_figures
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.7, 0.7]])
        >>> figures = class_figures(embeddings, torch.tensor([0, 0, 1, 1]))
        >>> class_tables(figures, ["ant", "bee"]).pairs[0]["share"]
        0.25
    """
    classes: list[Row] = [
        {
            "class": names[one.label],
            "queries": one.queries,
            "recall@1": one.recall,
            "taken_for": None if one.taken_for is None else names[one.taken_for],
            "taken": one.taken or None,
        }
        for one in figures.classes
    ]
    pairs: list[dict[str, Any]] = [
        {
            "first": names[pair.first],
            "second": names[pair.second],
            "share": pair.share,
            "first_as_second": pair.first_as_second,
            "second_as_first": pair.second_as_first,
            "queries": pair.queries,
        }
        for pair in figures.pairs
    ]
    return ClassTables(classes, [*pairs])
