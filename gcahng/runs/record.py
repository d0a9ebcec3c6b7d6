"""What a finished run has measured, as rows of a table."""

import csv
import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from gcahng.reports.page import RunRecord
from gcahng.reports.tables import Column
from gcahng.runs.folder import RunFolder

Split = Literal["test", "val"]


def read_record(folder: RunFolder, name: str) -> RunRecord:
    """Read a finished run.

    Raises:
        FileNotFoundError: If the run has not finished.
    """
    if not folder.results.is_file():
        raise FileNotFoundError(
            f"'{folder.path}' holds no finished run; continue it with --resume {folder.path}"
        )
    with folder.metrics.open(newline="", encoding="utf-8") as file:
        history = [
            {key: float(value) for key, value in row.items() if value != ""}
            for row in csv.DictReader(file)
        ]
    results = json.loads(folder.results.read_text(encoding="utf-8"))
    return RunRecord(name, history, results, folder.config.read_text(encoding="utf-8"))


def figure_columns(figures: Iterable[str]) -> list[Column]:
    """Columns for retrieval figures by their names; shown in percent."""
    titles = {"map@r": "MAP@R", "r_precision": "R-Prec"}
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


def figures_after(record: RunRecord, epoch: str, split: Split = "test") -> dict[str, float]:
    """Retrieval figures after the `last` or the `best` epoch, by name; in fractions.

    Args:
        record: The run.
        epoch: Which of the two.
        split: `test`, or `val`: the held-out training classes, to tune on.
    """
    figures, prefix = record.results, f"{epoch}/"
    if split == "val":
        wanted = record.results["epochs" if epoch == "last" else "best_epoch"]
        figures = next((row for row in record.history if row["epoch"] == wanted), {})
        prefix = "val/"
    return {
        name.removeprefix(prefix): value
        for name, value in figures.items()
        if name.startswith(prefix)
    }


def result_rows(record: RunRecord) -> list[dict[str, Any]]:
    """Two rows: test figures after the last epoch, and after the best one."""
    results = record.results
    last = {
        "recipe": record.name,
        "epoch": f"last ({results['epochs']})",
        "seconds": results["seconds"],
        "peak_memory_mib": results["peak_memory_mib"],
    }
    best = {"recipe": "", "epoch": f"best ({results['best_epoch']})"}
    return [last | figures_after(record, "last"), best | figures_after(record, "best")]


def selection_note(records: Sequence[RunRecord]) -> str:
    """How the best epochs were chosen; says so where it was on the test split."""
    selections = {(r.results["selected_on"], r.results["selected_by"]) for r in records}
    notes = []
    for split, metric in sorted(selections):
        if split == "test":
            notes.append(
                f"Best epochs chosen by {metric} ON THE TEST SPLIT: these figures are optimistic."
            )
        else:
            notes.append(f"Best epochs chosen by {metric} on held-out training classes.")
    return " ".join(notes)
