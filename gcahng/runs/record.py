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
    """What a finished run has measured.

    Attributes:
        name: In tables and legends; unique among the runs shown together.
        history: One mapping per epoch with `epoch`, cumulative `seconds`, `loss/…` and `val/…` or
            `test/…` figures, any of which may be missing or NaN.
        results: `last/…` and `best/…` figures (fractions), `zero_shot/untrained/…`,
            `zero_shot/features/…` and `zero_shot/head/…` of the network before training, `gain/…`
            of the best epoch over the untrained network, `best_epoch`, `seconds`,
            `peak_memory_mib`, `embedder_parameters` and `generator_parameters`, any of which may
            be missing or NaN. Seconds are of `WorkClock`: CPU time on a CPU, wall time on a GPU.
        config: The resolved configuration, as text.
    """

    name: str
    history: Sequence[Mapping[str, float]]
    results: Mapping[str, float]
    config: str


def read_record(folder: RunFolder, name: str) -> RunRecord:
    """Read a finished run."""
    if not folder.results.is_file():
        raise FileNotFoundError(
            f"'{folder.path}' holds no finished run; continue it with --resume {folder.path}"
        )
    results = json.loads(folder.results.read_text(encoding="utf-8"))
    config = folder.config.read_text(encoding="utf-8")
    return RunRecord(name, read_history(folder), results, config)


def read_history(folder: RunFolder) -> list[dict[str, float]]:
    """Read the figures of every epoch so far; none where no epoch has ended."""
    if not folder.metrics.is_file():
        return []
    with folder.metrics.open(newline="", encoding="utf-8") as file:
        return [
            {key: float(value) for key, value in row.items() if value != ""}
            for row in csv.DictReader(file)
        ]


def figures_after(record: RunRecord, epoch: str, split: Split = "test") -> dict[str, float]:
    """Retrieval figures by name, in fractions, after the `last` or `best` epoch.

    `features` and `head` are before training; `val` are the held-out training classes.

    >>> figures_after(RunRecord("a", [], {"last/map@r": 0.25, "best/map@r": 0.5}, ""), "best")
    {'map@r': 0.5}
    """
    figures, prefix = record.results, f"{epoch}/"
    if epoch in ("features", "head"):
        prefix = f"zero_shot/{epoch}/" if split == "test" else f"zero_shot/val/{epoch}/"
    elif split == "val":
        wanted = record.results["epochs" if epoch == "last" else "best_epoch"]
        figures = next((row for row in record.history if row["epoch"] == wanted), {})
        prefix = "val/"
        if wanted == 0:
            figures, prefix = record.results, "zero_shot/val/head/"
    of_prefix = {name: value for name, value in figures.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): value for name, value in of_prefix.items()}


def figure_title(name: str) -> str:
    """Title of a retrieval figure wherever it is shown.

    >>> figure_title("recall@1"), figure_title("map@r")
    ('R@1', 'MAP@R')
    """
    titles = {"map@r": "MAP@R", "r_precision": "R-Prec"}
    return titles.get(name, name.replace("recall@", "R@"))


def selection_note(records: Sequence[RunRecord]) -> str:
    """Say what the figures depend on, and what ranked them."""
    engines = sorted({str(r.results["ranked_by"]) for r in records if "ranked_by" in r.results})
    ranked = [f"Ranked by {', '.join(engines)}."] if engines else []
    notes = [note for record in records for note in (early_stop_note(record), kept_note(record))]
    return " ".join([*selection_notes(records), *filter(None, notes), *ranked])


def selection_notes(records: Sequence[RunRecord]) -> list[str]:
    """Say how the best epochs were chosen."""
    names = ("selected_on", "selected_by", "own_validation")
    selections = {(*(r.results[name] for name in names), r.results["epochs"] == 0) for r in records}
    notes = []
    for split, figure, own, untrained in sorted(selections):
        metric = figure_title(str(figure))
        if untrained:
            chosen = ""
            if split != "test":
                chosen = f" (a closed form: with settings chosen by {metric} on validation classes)"
            notes.append(f"No step was trained; the last layer is as it was set up{chosen}.")
        elif split == "test":
            notes.append(
                f"Best epochs chosen by {metric} ON THE TEST SPLIT: these figures are optimistic."
            )
        else:
            where = "the data set's validation split" if own else "held-out training classes"
            notes.append(f"Best epochs chosen by {metric} on {where}.")
    closed = {
        closed_set_note(trained, r.results["test_classes"])
        for r in records
        if (trained := r.results.get("test_classes_trained_on"))
    }
    return [*notes, *sorted(closed)]


def early_stop_note(record: RunRecord) -> str | None:
    """Say so if a run was stopped because its figures did not improve any more, else None.

    >>> results = {"ended_by": "patience", "epochs": 7, "best_epoch": 4}
    >>> early_stop_note(RunRecord("a", [], results, ""))
    'a stopped early, after epoch 7, since none after epoch 4 was better (train.patience).'
    """
    if record.results.get("ended_by") != "patience":
        return None
    return (
        f"{record.name} stopped early, after epoch {record.results['epochs']}, since none after "
        f"epoch {record.results.get('highest_epoch', record.results['best_epoch'])} was better "
        "(train.patience)."
    )


def kept_note(record: RunRecord) -> str | None:
    """Say so if the best epoch is not the one with the highest value, and why, else None.

    >>> results = {"best_epoch": 2, "best_value": 0.5, "highest_epoch": 6, "highest_value": 0.503}
    >>> print(kept_note(RunRecord("a", [], results | {"selected_by": "map@r"}, "")))
    a: the best epoch is 2 (MAP@R 50.00 %); epoch 6 (50.30 %) is higher, but not by more than one...
    """
    results = record.results
    if "highest_epoch" not in results or results["best_epoch"] == results["highest_epoch"]:
        return None
    best, highest = 100 * results["best_value"], 100 * results["highest_value"]
    return (
        f"{record.name}: the best epoch is {results['best_epoch']} "
        f"({figure_title(str(results['selected_by']))} {best:.2f} %); epoch "
        f"{results['highest_epoch']} ({highest:.2f} %) is higher, but not by more than one "
        "standard error over the classes that choose."
    )


def closed_set_note(trained_on: float, test_classes: float) -> str:
    """The sentence about test classes that are also trained on.

    >>> closed_set_note(3, 5)
    'Closed set: 3 of 5 test classes were trained on, so the figures are not for unseen classes.'
    """
    return (
        f"Closed set: {trained_on:.0f} of {test_classes:.0f} test classes were trained on, so the "
        "figures are not for unseen classes."
    )


def epochs_for(target: RunRecord, measured: RunRecord) -> int:
    """How many epochs of `measured` take as much work as all of `target`, by their median epochs.

    >>> slow = RunRecord("slow", [{"seconds": 3.0}, {"seconds": 6.0}], {"epochs": 2}, "")
    >>> fast = RunRecord("fast", [{"seconds": 1.0}, {"seconds": 2.0}], {"epochs": 2}, "")
    >>> epochs_for(slow, fast)
    6
    """
    work = _median_epoch(target) * target.results["epochs"]
    return max(1, round(work / _median_epoch(measured)))


def _median_epoch(record: RunRecord) -> float:
    ends = [0.0, *(row["seconds"] for row in record.history)]
    return median(end - start for start, end in pairwise(ends))
