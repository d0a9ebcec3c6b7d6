"""The figures of finished runs as rows and columns of a table."""

from collections.abc import Iterable, Mapping
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
    results, starts = record.results, start_names(record.results)
    rows: list[dict[str, Any]] = [
        {"epoch": name} | figures
        for which, name in starts.items()
        if (figures := figures_after(record, which))
    ]
    best = {"epoch": f"best ({results['best_epoch']})"} | figures_after(record, "best")
    last = {"epoch": f"last ({results['epochs']})"} | figures_after(record, "last")
    ends = [last, best] if results["epochs"] else [best]
    ends[0] |= {name: results[name] for name in ("seconds", "peak_memory_mib")}
    rows += ends
    return [{"recipe": "" if number else record.name} | row for number, row in enumerate(rows)]


def start_names(results: Mapping[str, float]) -> dict[str, str]:
    """What was measured before a training, by the prefix of its figures: what to call it.

    Without an epoch, the last layer is part of what the run ends with.

    >>> list(start_names({"epochs": 0, "untrained_px": 224}).values())
    ['untrained, 224 px', '0, features']
    """
    pixels = results.get("untrained_px")
    untrained = "untrained" if pixels is None else f"untrained, {pixels:.0f} px"
    names = {"zero_shot/untrained": untrained, "zero_shot/features": "0, features"}
    return names | ({"zero_shot/head": "0, head"} if results.get("epochs") else {})
