"""The figures of finished runs as rows and columns of a table."""

from collections.abc import Iterable, Mapping
from typing import Any

from gcahng.reports.tables import Column
from gcahng.runs.record import RunRecord, figure_title, figures_after

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


def figure_columns(figures: Iterable[str]) -> list[Column]:
    """Columns for retrieval figures by their names; shown in percent."""
    return [Column(name, figure_title(name), "percent") for name in figures]


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
    names = start_names(results) | {
        "last": f"last ({results['epochs']})",
        "best": f"best ({results['best_epoch']})",
    }
    if not results["epochs"]:
        del names["last"]
    rows: list[dict[str, Any]] = []
    for which, name in names.items():
        figures = figures_after(record, which)
        if figures or which in ("last", "best"):
            rows.append({"recipe": "" if rows else record.name, "epoch": name} | figures)
    rows[-2 if results["epochs"] else -1] |= {
        name: results[name] for name in ("seconds", "peak_memory_mib")
    }
    return rows


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
