"""Checkpoints within an epoch: when they are written, and that nothing is lost or repeated."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch

from gcahng.runs.folder import RunFolder
from gcahng.training.interruption import Interruption, TrainingStopped
from gcahng.training.trainer import Trainer
from tests.gcahng.training.test_trainer import _trainer, assert_same_figures


class At(Interruption):
    """Stop after some steps, counted from the start of the training."""

    def __init__(self, steps: int) -> None:
        super().__init__(None)
        self.left = steps

    def ask(self) -> tuple[bool, bool]:
        self.left -= 1
        return self.left == 0, self.left == 0


def _train(trainer: Trainer, interruption: Interruption) -> None:
    while not trainer.is_over:
        trainer.end_epoch(trainer.train_epoch(interruption))


@pytest.mark.parametrize(
    "generator", ["{name: gca_hng}", "{name: gca_hng, passes: one}", "{name: das}"]
)
@pytest.mark.parametrize("steps", [1, 75])
def test_a_training_stopped_within_an_epoch_goes_on_exactly(
    tmp_path: Path, steps: int, generator: str
) -> None:
    settings = ("train.epochs=2", f"generator={generator}")
    whole = _trainer(tmp_path / "whole", *settings)
    whole.fit()
    first = _trainer(tmp_path / "halved", *settings)
    interruption = At(steps)
    first.begin()
    with pytest.raises(TrainingStopped, match=r"stopped by a signal after step \d+ of epoch"):
        _train(first, interruption)
    assert first.folder.partial.exists()
    torch.manual_seed(99)
    second = Trainer.set_up(first.config, first.folder, first.display)
    second.resume()
    assert second.progress.step > 0
    second.fit()
    assert not second.folder.partial.exists()
    assert_same_figures(whole.folder, second.folder)


def test_signals_and_time_are_reported_and_handlers_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruption(save_minutes=None) as interruption:
        assert interruption.ask() == (False, False)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.ask() == (True, True)
    assert signal.getsignal(signal.SIGTERM) is before
    with Interruption(save_minutes=0.001) as interruption:
        assert interruption.ask() == (False, False)
        time.sleep(0.07)
        assert interruption.ask() == (True, False)
        assert interruption.ask() == (False, False)


def test_a_run_with_a_checkpoint_within_its_first_epoch_is_not_overwritten(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path)
    with pytest.raises(TrainingStopped):
        trainer.train_epoch(At(2))
    with pytest.raises(FileExistsError, match="already holds a run"):
        RunFolder(tmp_path).check_free()
