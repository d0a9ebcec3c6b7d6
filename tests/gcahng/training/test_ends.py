"""How a training ends: diverged, out of time or disk, or since nothing improves any more."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from gcahng.commands.run import resume_run
from gcahng.config import load_config, read_config
from gcahng.config.sections import TrainConfig
from gcahng.data import ImageLoader
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import read_record, selection_note
from gcahng.training.cost import WorkClock
from gcahng.training.measurements import Measurement, Measurements, NonFiniteLossError
from gcahng.training.progress import TrainingProgress
from tests import limits
from tests.gcahng.jobs.test_together import TWO, finished, run_of, train
from tests.gcahng.training.test_trainer import _trainer, results_of


def test_divergence_stops_with_the_terms_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path)
    trainer.end_epoch(trainer.train_epoch())
    saved = trainer.folder.last.read_bytes()
    with torch.no_grad():
        trainer.experiment.embedder.fc[1].weight[0, 0] = torch.nan
    with pytest.raises(NonFiniteLossError, match=r"step 1 of epoch 2 \(metric = nan.*optim\.clip"):
        trainer.fit()
    assert trainer.folder.last.read_bytes() == saved


def test_divergence_in_the_last_batch_of_an_epoch_is_said_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _trainer(tmp_path, "eval.zero_shot=false")
    batch = next(iter(trainer.experiment.loader))
    last = (torch.full_like(batch[0], torch.nan), batch[1])
    monkeypatch.setattr(ImageLoader, "__iter__", lambda _: iter([batch, last]))
    monkeypatch.setattr(ImageLoader, "__len__", lambda _: 2)
    with pytest.raises(NonFiniteLossError, match="step 2 of epoch 1"):
        trainer.fit()


@pytest.mark.slow
def test_a_full_disk_names_the_file_and_the_training_goes_on(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path)
    trainer.end_epoch(trainer.train_epoch())
    saved = trainer.folder.last.read_bytes()
    with (
        limits.file_size(20_000),
        pytest.raises(OSError, match=r"cannot write '.*\.pt': .*--resume"),
    ):
        trainer.fit()
    assert trainer.folder.last.read_bytes() == saved
    again = _trainer(tmp_path)
    again.resume()
    assert again.progress.epoch == 1


def test_a_training_that_is_out_of_time_is_measured_and_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    results = _trainer(tmp_path, "eval.every=3", "train.max_seconds=0.001").fit()
    assert results["epochs"] == results["best_epoch"] == 1
    assert set(threading.enumerate()) <= before, "TensorBoard's writer"


def test_a_start_on_a_full_disk_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["gcahng"])  # which the smaller environment.json holds
    config, run = load_config("digits"), RunFolder(tmp_path / "run")
    with limits.file_size(1000), pytest.raises(OSError, match=r"cannot write '.*config\.yaml'"):
        run.create(config)
    run.create(config)
    assert read_config(run.config) == config


# The figure by epoch: the best so far, and from then on no better.
FIGURES = [0.5, 0.4, 0.6, 0.6, 0.5, 0.7, 0.1, 0.1]


@pytest.mark.parametrize(
    ("settings", "every", "epochs", "best", "reached"),
    [
        ({"patience": 1}, 1, 2, 1, "patience"),
        ({"patience": 2}, 1, 5, 3, "patience"),
        ({"patience": 3}, 1, 8, 6, "epochs"),
        ({"patience": 1}, 2, 8, 6, "epochs"),
        ({"patience": 2, "max_seconds": 0.5}, 1, 1, 1, "max_seconds"),
        ({}, 1, 8, 6, "epochs"),
    ],
)
def test_a_training_ends_after_so_many_evaluations_in_vain(
    settings: dict[str, Any], every: int, epochs: int, best: int, reached: str
) -> None:
    limits = TrainConfig(epochs=8, **settings)
    progress = TrainingProgress(WorkClock(torch.device("cpu")))
    while (found := progress.reached_limit(limits, "val/x")) is None:
        progress.epoch += 1
        progress.clock.seconds += 1
        progress.step = 4
        assert progress.reached_limit(limits, "val/x") is None, "within an epoch"
        progress.step = 0
        row = {"epoch": float(progress.epoch)}
        if progress.epoch % every == 0:
            row["val/x"] = FIGURES[progress.epoch - 1]
            progress.keep_if_better(row["val/x"])
        progress.history.append(row)
    assert (progress.epoch, progress.best_epoch, found) == (epochs, best, reached)


@pytest.mark.slow
def test_a_resumed_training_ends_after_the_same_epoch_or_goes_on_with_more_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def selection(measured: Measurements, epoch: int) -> Measurement:
        return Measurement({"map@r": FIGURES[epoch - 1]}, measured.test(epoch).embeddings, None)

    monkeypatch.setattr(Measurements, "selection", selection)
    settings = ("train.epochs=6", "generator=null", "eval.zero_shot=false", "train.patience=2")
    first = _trainer(tmp_path, *settings)
    for _ in range(4):
        first.end_epoch(first.train_epoch())
    resumed = _trainer(tmp_path, *settings)
    resumed.resume()
    assert not resumed.is_over
    results = resumed.fit()
    assert (results["epochs"], results["ended_by"]) == (5, "patience")
    run = RunFolder(tmp_path)
    assert "stopped early, after epoch 5" in selection_note([read_record(run, "a")])
    resume_run(run, changes=["train.patience=3"])
    results = results_of(run)
    assert (results["epochs"], results["best_epoch"], results["ended_by"]) == (6, 6, "epochs")


@pytest.mark.slow
def test_two_processes_stop_together(tmp_path: Path) -> None:
    """With a rate that ruins the embedder: the average and the end are those of one process."""
    ruin = ["optim.embedder.lr=0.3", "train.epochs=9", "train.patience=1", "train.ema=0.5"]
    finished(train(tmp_path / "one", *ruin))
    finished(train(tmp_path / "two", *ruin, TWO))
    found = [results_of(run_of(tmp_path / name)) for name in ("one", "two")]
    assert found[0]["ended_by"] == found[1]["ended_by"] == "patience"
    assert found[0]["epochs"] == found[1]["epochs"] < 9
    for key in ("last/recall@1", "last/map@r", "best/map@r"):
        assert found[0][key] == pytest.approx(found[1][key], abs=0.02)
