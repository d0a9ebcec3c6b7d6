"""What a finished run has measured."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from gcahng.runs.folder import RunFolder

Split = Literal["test", "val"]


@dataclass(frozen=True)
class RunRecord:
    """What the report shows of one run.

    Args:
        name: in tables and legends; differs from the other runs'.
        history: one mapping per epoch with `epoch`, cumulative `seconds`, `loss/…` and `val/…` or
            `test/…` figures, any of which may be missing or NaN.
        results: `last/…` and `best/…` figures (fractions), `best_epoch`, `seconds`,
            `peak_memory_mib`, any of which may be missing or NaN.
        config: the resolved configuration, as text.
    """

    name: str
    history: Sequence[Mapping[str, float]]
    results: Mapping[str, float]
    config: str


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


def epochs_for(target: RunRecord, measured: RunRecord) -> int:
    """How many epochs at the pace of `measured` take as long as `target` did.

    By the median epoch of each, which a busy machine disturbs least.
    """
    seconds = _median_epoch(target) * target.results["epochs"]
    return max(1, round(seconds / _median_epoch(measured)))


def _median_epoch(record: RunRecord) -> float:
    ends = [0.0, *(row["seconds"] for row in record.history)]
    return median(end - start for start, end in pairwise(ends))
