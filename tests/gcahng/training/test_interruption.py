"""Checkpoints within an epoch: when they are written, and that nothing is lost or repeated."""

import os
import pkgutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gcahng import cli
from gcahng.jobs.process import Stopped
from gcahng.runs.folder import RunFolder
from gcahng.training.interruption import Interruption, TrainingStopped
from gcahng.training.trainer import Trainer
from tests.conftest import SMALL
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


@pytest.mark.parametrize("generator", ["{name: gca_hng}", "{name: das}"])
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


def test_signals_and_time_are_reported_and_handlers_restored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruption(save_minutes=None) as interruption:
        assert interruption.ask() == (False, False)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.ask() == (True, True)
        assert interruption.status == 75
    assert signal.getsignal(signal.SIGTERM) is before
    now = 100.0
    monkeypatch.setattr("gcahng.training.interruption.time.monotonic", lambda: now)
    with Interruption(save_minutes=1) as interruption:
        now += 59
        assert interruption.ask() == (False, False)
        now += 1
        assert interruption.ask() == (True, False)
        assert interruption.ask() == (False, False)


def test_a_second_interrupt_ends_at_once() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Interruption(save_minutes=None) as interruption:
            os.kill(os.getpid(), signal.SIGINT)
            assert interruption.ask() == (True, True)
            assert interruption.status == 130
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(Stopped) as info:
                os.kill(os.getpid(), signal.SIGINT)
        assert info.value.status == 130
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("place", "number", "status"),
    [
        ("gcahng.training.trainer.build_experiment", signal.SIGTERM, 75),
        ("gcahng.training.trainer.build_experiment", signal.SIGINT, 130),
        ("gcahng.training.trainer.Trainer.begin", signal.SIGTERM, 75),
        ("gcahng.training.trainer.Trainer.train_epoch", signal.SIGINT, 130),
        ("gcahng.training.measurements.Measurements.selection", signal.SIGINT, 130),
        ("gcahng.training.trainer.Trainer.finish", signal.SIGTERM, 75),
        ("gcahng.commands.train._report", signal.SIGINT, 130),
        ("gcahng.commands.train._report", signal.SIGTERM, 75),
        ("gcahng.commands.train._show", signal.SIGTERM, 75),
    ],
)
def test_a_signal_at_any_time_says_how_to_go_on(
    place: str,
    number: int,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, whole = tmp_path / "run", pkgutil.resolve_name(place)

    def signalled(*args: Any, **settings: Any) -> Any:
        os.kill(os.getpid(), number)
        return whole(*args, **settings)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["gcahng", "train", *arguments])
        with pytest.raises(SystemExit) as info:
            cli.main()
        return int(info.value.code or 0)

    begin = ["digits", *SMALL, "train.epochs=1", "--run", str(folder)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(place, signalled)
            assert run(*begin) == status
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("interrupted" if status == 130 else "stopped by a signal")
    if "build" not in place:
        assert said.endswith(f"; continue with: gcahng train --resume {folder}")
        assert run("--resume", str(folder)) == 0
    else:
        assert said.endswith("; give the same command again")
        assert not folder.exists()
        assert run(*begin) == 0
    assert RunFolder(folder).report.exists()


def test_a_run_with_a_checkpoint_within_its_first_epoch_is_not_overwritten(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path)
    with pytest.raises(TrainingStopped):
        trainer.train_epoch(At(2))
    with pytest.raises(FileExistsError, match="already holds a run"):
        RunFolder(tmp_path).check_free()
