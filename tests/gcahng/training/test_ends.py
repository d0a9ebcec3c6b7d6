"""How a training ends: diverged, out of time, and with nothing left behind."""

import threading
from pathlib import Path

import pytest
import torch

from gcahng.config import load_config, read_config
from gcahng.data import ImageLoader
from gcahng.runs.folder import RunFolder
from gcahng.training.loss_log import NonFiniteLossError
from tests import limits
from tests.gcahng.training.test_trainer import _trainer, assert_same_figures


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


def test_no_thread_outlives_a_training(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    trainer = _trainer(tmp_path, "train.epochs=1")
    trainer.fit()
    assert set(threading.enumerate()) <= before, "TensorBoard's writer"


def test_a_full_disk_names_the_file_and_the_training_goes_on(
    tmp_path: Path, digits_run: Path
) -> None:
    trainer = _trainer(tmp_path)
    trainer.begin()
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
    again.fit()
    assert_same_figures(again.folder, RunFolder(digits_run))


def test_a_start_on_a_full_disk_can_be_repeated(tmp_path: Path) -> None:
    config, run = load_config("digits"), RunFolder(tmp_path / "run")
    with limits.file_size(1000), pytest.raises(OSError, match=r"cannot write '.*config\.yaml'"):
        run.create(config)
    run.create(config)
    assert read_config(run.config) == config


def test_time_limit_ends_after_the_epoch(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, "train.max_seconds=0.001")
    assert trainer.fit()["epochs"] == 1


def test_out_of_time_is_measured(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, "eval.every=3", "train.max_seconds=0.001")
    assert trainer.fit()["best_epoch"] == 1
