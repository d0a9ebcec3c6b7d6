"""A training that stops once nothing improves: after the right epoch, also when it is resumed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gcahng.commands.train import resume_run
from gcahng.config.sections import TrainConfig
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import read_record, selection_note
from gcahng.training.clock import WorkClock
from gcahng.training.measurements import Measurement, Measurements
from gcahng.training.progress import TrainingProgress
from gcahng.training.trainer import Trainer
from tests.gcahng.training.test_launch import TWO, finished, run_of, train
from tests.gcahng.training.test_trainer import _trainer

# The figure by epoch: the best so far, and from then on no better.
FIGURES = [0.5, 0.4, 0.6, 0.6, 0.5, 0.7, 0.1, 0.1]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    def selection(measured: Measurements, epoch: int) -> Measurement:
        found = measured.test(epoch)
        return Measurement({"map@r": FIGURES[epoch - 1]}, found.embeddings, None)

    monkeypatch.setattr(Measurements, "selection", selection)


def _long(folder: Path, *overrides: str) -> Trainer:
    return _trainer(folder, "train.epochs=8", "generator=null", "eval.zero_shot=false", *overrides)


@pytest.mark.parametrize(
    ("settings", "epochs", "best", "ended_by"),
    [
        (["train.patience=1"], 2, 1, "patience"),
        (["train.patience=2"], 5, 3, "patience"),
        (["train.patience=3"], 8, 6, "epochs"),
        # Evaluated are 2, 4, 6 and 8.
        (["train.patience=1", "eval.every=2"], 8, 6, "epochs"),
        (["train.patience=2", "train.max_seconds=0.001"], 1, 1, "max_seconds"),
        ([], 8, 6, "epochs"),
    ],
)
def test_a_training_ends_after_so_many_evaluations_in_vain(
    settings: list[str],
    epochs: int,
    best: int,
    ended_by: str,
    tmp_path: Path,
    scripted: None,
) -> None:
    results = _long(tmp_path, *settings).fit()
    assert (results["epochs"], results["best_epoch"]) == (epochs, best)
    assert results["ended_by"] == ended_by
    told = "stopped early, after epoch" in selection_note([read_record(RunFolder(tmp_path), "a")])
    assert told == (ended_by == "patience")


def test_a_resumed_training_ends_after_the_same_epoch(tmp_path: Path, scripted: None) -> None:
    first = _long(tmp_path, "train.patience=2")
    for _ in range(4):
        first.end_epoch(first.train_epoch())
    resumed = _long(tmp_path, "train.patience=2")
    resumed.resume()
    assert not resumed.is_over
    results = resumed.fit()
    assert (results["epochs"], results["ended_by"]) == (5, "patience")


def test_a_run_that_stopped_early_goes_on_with_more_patience(
    tmp_path: Path, scripted: None
) -> None:
    _long(tmp_path, "train.patience=1").fit()
    resume_run(RunFolder(tmp_path), changes=["train.patience=3"])
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["epochs"], results["best_epoch"], results["ended_by"]) == (8, 6, "epochs")


def test_an_interrupted_epoch_is_not_the_end() -> None:
    rows: list[dict[str, Any]] = [{"epoch": 1, "val/x": 0.5}, {"epoch": 2, "val/x": 0.4}]
    progress = TrainingProgress(WorkClock(torch.device("cpu")), 3, history=rows, step=4)
    progress.best = progress.highest = {"epoch": 1, "value": 0.5}
    limits = TrainConfig(epochs=3, patience=1)
    assert progress.ended_by(limits, "val/x") is None
    progress.step = 0
    assert progress.ended_by(limits, "val/x") == "epochs"
    progress.epoch = 2
    assert progress.ended_by(limits, "val/x") == "patience"


def test_two_processes_stop_together(tmp_path: Path) -> None:
    """With a rate that ruins the embedder: the average and the end are those of one process."""
    ruin = ["optim.embedder.lr=0.3", "train.epochs=9", "train.patience=1", "train.ema=0.5"]
    finished(train(tmp_path / "one", *ruin))
    finished(train(tmp_path / "two", *ruin, TWO))
    found = [json.loads(run_of(tmp_path / name).results.read_text()) for name in ("one", "two")]
    assert found[0]["ended_by"] == found[1]["ended_by"] == "patience"
    assert found[0]["epochs"] == found[1]["epochs"] < 9
    for key in ("last/recall@1", "last/map@r", "best/map@r"):
        assert found[0][key] == pytest.approx(found[1][key], abs=0.02)
