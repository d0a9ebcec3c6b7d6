"""The figures of finished runs as rows and columns of a table."""

from collections.abc import Iterable
from typing import Any

from gcahng.reports.tables import Column
from gcahng.runs.record import RunRecord, figures_after


def figure_columns(figures: Iterable[str]) -> list[Column]:
    """Columns for retrieval figures by their names; shown in percent.

    >>> [column.title for column in figure_columns(["recall@1", "map@r"])]
    ['R@1', 'MAP@R']
    """
    titles = {"map@r": "MAP@R", "r_precision": "R-Prec", "precision@1": "P@1"}
    titles |= {"nmi": "NMI", "ami": "AMI"}
    return [
        Column(name, titles.get(name, name.replace("recall@", "R@")), "percent") for name in figures
    ]


def result_columns(record: RunRecord) -> list[Column]:
    """The columns of a results table: every test figure, time and memory."""
    return [
        Column("recipe", "run"),
        Column("epoch", "epoch"),
        *figure_columns(figures_after(record, "last")),
        Column("seconds", "s", "seconds"),
        Column("peak_memory_mib", "MiB", "mib"),
    ]


def result_rows(record: RunRecord) -> list[dict[str, Any]]:
    """Test figures before training if measured, after the last epoch, and after the best epoch."""
    results = record.results
    starts = ("features", "head") if results["epochs"] else ("features",)
    rows: list[dict[str, Any]] = [
        {"epoch": f"0, {name}"} | figures
        for name in starts
        if (figures := figures_after(record, f"zero_shot/{name}"))
    ]
    best = {"epoch": f"best ({results['best_epoch']})"} | figures_after(record, "best")
    last = {"epoch": f"last ({results['epochs']})"} | figures_after(record, "last")
    ends = [last, best] if results["epochs"] else [best]
    ends[0] |= {name: results[name] for name in ("seconds", "peak_memory_mib")}
    rows += ends
    return [{"recipe": "" if number else record.name} | row for number, row in enumerate(rows)]
