"""The retrieval figures that a shared model comes with: where they are from and when."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from gcahng.config import read_config
from gcahng.models import WhiteningHead
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import LoadedRun
from gcahng.runs.record import RunRecord, figures_after, read_record, selection_notes
from gcahng.runs.shared import FIGURES, WEIGHTS
from gcahng.runs.verdict import comparison

# What the results of a run say about its data; those of an earlier version say less.
COUNTS = ("train_classes", "train_images", "test_classes", "test_images")


def figures_of(run: LoadedRun) -> dict[str, Any] | None:
    """Collect the figures that were measured with exactly these weights.

    Args:
        run: From a run folder, a checkpoint in one, or a shared model, which has a `figures.json`.

    Returns:
        `dataset`, `split`, `date`, `epoch`, `selected` (how the epoch was chosen, and remarks),
        `metrics` (fractions), `verdict` (the sentence of `comparison`; null for another epoch than
        the best) and the numbers of classes and images, null if not recorded. None if nothing was
        measured.

    Raises:
        ValueError: If the figures of a shared model are damaged.

    Example:
        >>> from gcahng import load_run
        >>> figures = figures_of(load_run("runs/digits-seed0"))
        >>> figures["split"], figures["test_classes"], sorted(figures["metrics"])[0]
        ('test', 5, 'map@r')
    """
    is_shared = run.path.name == WEIGHTS
    if is_shared and run.path.with_name(FIGURES).is_file():
        return _read(run.path.with_name(FIGURES))
    folder = RunFolder(run.path.parent if is_shared else run.path.parent.parent)
    if not (folder.results.is_file() and folder.config.is_file()):
        return None
    finished = read_config(folder.config).embedder.finish is not None
    if finished and not isinstance(run.embedder.fc, WhiteningHead):
        return None  # The figures are those of the last layer that replaces this one.
    record = read_record(folder, run.config.name)
    # The shared model in a run folder is that of the best epoch.
    epoch = record.results["best_epoch"] if is_shared else run.epoch
    if epoch == record.results["best_epoch"]:
        return _figures(run, record, "best", folder)
    if epoch == record.results["epochs"]:
        return _figures(run, record, "last", folder)
    return None


def _figures(run: LoadedRun, record: RunRecord, which: str, folder: RunFolder) -> dict[str, Any]:
    results: dict[str, Any] = dict(record.results)
    chosen, *remarks = selection_notes([record])
    chosen = chosen.replace("Best epochs", "Best epoch")
    if which == "last":
        chosen = "The last epoch."
    # A run of an earlier version does not say when it was measured.
    written = datetime.fromtimestamp(folder.results.stat().st_mtime, timezone.utc)
    return {
        "dataset": run.config.data.name,
        "split": "test",
        "date": results.get("date", written.date().isoformat()),
        "epoch": results["best_epoch" if which == "best" else "epochs"],
        "selected": " ".join([chosen, *remarks]),
        "metrics": figures_after(record, which),
        "verdict": comparison(results, run.config, results.get("untrained_px"))
        if which == "best"
        else None,
        **{name: results.get(name) for name in COUNTS},
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{path}' is damaged: it is not JSON ({error})") from error
    needed = {"dataset", "split", "date", "epoch", "selected", "metrics", *COUNTS}
    if not isinstance(found, dict) or needed - found.keys():
        raise ValueError(f"'{path}' does not hold the figures of a gcahng model: delete the file")
    return {**found, "verdict": found.get("verdict")}
