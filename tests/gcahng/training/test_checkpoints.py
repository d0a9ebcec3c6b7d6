"""Checkpoints: when they are written, that nothing is lost or repeated, and what may change."""

import os
import pkgutil
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gcahng.commands.run import resume_run
from gcahng.config import load_config
from gcahng.jobs.process import Stopped, heed_signals
from gcahng.runs.folder import RunFolder
from gcahng.training.checkpoints import Interruption, Request
from gcahng.training.trainer import Trainer
from tests.conftest import SMALL, Call
from tests.gcahng.training.test_trainer import _trainer, assert_same_figures

# Nine steps of an epoch.
FEW = ["batch.samples=20"]
QUICK = ["generator=null", *FEW]


class At(Interruption):
    """Stop after some steps, counted from the start of the training."""

    def __init__(self, steps: int) -> None:
        super().__init__(None)
        self.left = steps

    def poll(self) -> Request:
        self.left -= 1
        return Request(save=self.left == 0, stop=self.left == 0)


def train(trainer: Trainer, interruption: Interruption) -> None:
    while not trainer.is_over:
        trainer.end_epoch(trainer.train_epoch(interruption))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "settings"),
    [(75, []), (1, ["generator={name: das}", *FEW]), (12, FEW)],
)
def test_a_training_stopped_within_an_epoch_goes_on_exactly(
    steps: int,
    settings: list[str],
    digits_run: Path,
    trained: Callable[..., Trainer],
    tmp_path: Path,
) -> None:
    whole = trained(*settings).folder if settings else RunFolder(digits_run)
    first = _trainer(tmp_path, *settings)
    first.begin()
    with pytest.raises(Stopped, match=r"stopped by a signal after step \d+ of epoch"):
        train(first, At(steps))
    assert first.folder.partial.exists()
    with pytest.raises(FileExistsError, match="already holds a run"):
        first.folder.check_free()
    torch.manual_seed(99)
    second = _trainer(tmp_path, *settings)
    second.resume()
    assert second.progress.step > 0
    second.fit()
    assert not second.folder.partial.exists()
    assert_same_figures(whole, second.folder)


def test_signals_and_time_are_reported_and_handlers_restored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    interruption = Interruption(save_minutes=None)
    with heed_signals(interruption.receive):
        assert interruption.poll() == (False, False)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.poll() == (True, True)
        assert interruption.status == 75
    assert signal.getsignal(signal.SIGTERM) is before
    now = 100.0
    monkeypatch.setattr("gcahng.training.checkpoints.time.monotonic", lambda: now)
    interruption = Interruption(save_minutes=1)
    now += 59
    assert interruption.poll() == (False, False)
    now += 1
    assert interruption.poll() == (True, False)
    assert interruption.poll() == (False, False)


def test_a_second_interrupt_ends_at_once() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interruption = Interruption(save_minutes=None)
        with heed_signals(interruption.receive):
            os.kill(os.getpid(), signal.SIGINT)
            assert interruption.poll() == (True, True)
            assert interruption.status == 130
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(Stopped) as info:
                os.kill(os.getpid(), signal.SIGINT)
        assert info.value.status == 130
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "number", "status"),
    [
        ("gcahng.training.trainer.build_experiment", signal.SIGTERM, 75),
        ("gcahng.training.trainer.Trainer.begin", signal.SIGTERM, 75),
        ("gcahng.training.measurements.Measurements.selection", signal.SIGINT, 130),
        ("gcahng.reports.run_report.report_run", signal.SIGTERM, 75),
    ],
)
def test_a_signal_at_any_time_says_how_to_go_on(
    place: str,
    number: int,
    status: int,
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, whole = tmp_path / "run", pkgutil.resolve_name(place)

    def signalled(*args: Any, **settings: Any) -> Any:
        os.kill(os.getpid(), number)
        return whole(*args, **settings)

    begin = ["train", "digits", *SMALL, *QUICK, "train.epochs=1", "--run", folder]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(place, signalled)
            stopped = call(*begin)
    finally:
        signal.signal(signal.SIGINT, before)
    assert stopped.status == status
    said = stopped.err.splitlines()[-1]
    assert said.startswith("interrupted" if status == 130 else "stopped by a signal")
    if "build" not in place:
        assert said.endswith(f"; continue with: gcahng train --resume {folder}")
        assert call("train", "--resume", folder).status == 0
    else:
        assert said.endswith("; give the same command again")
        assert not folder.exists()
        assert call(*begin).status == 0
    assert RunFolder(folder).report.exists()


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> RunFolder:
    """A finished run, to change at will."""
    return RunFolder(Path(shutil.copytree(digits_run, tmp_path / "run")))


@pytest.mark.slow
def test_data_that_moved_is_named_when_resuming(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    before = run.results.read_text()
    resume_run(run, [f"data.root={tmp_path / 'moved'}"])
    assert f"root: {tmp_path / 'moved'}" in run.config.read_text()
    assert load_config(run.config).data.root == str(tmp_path / "moved")
    assert before.split('"seconds"')[0] == run.results.read_text().split('"seconds"')[0]


def test_settings_that_do_not_change_the_figures_may_change(run: RunFolder) -> None:
    overrides = ["train.max_seconds=1000", "output=elsewhere", "fabric.accelerator=cpu"]
    overrides += ["data.workers=1", "fabric.threads=1", "generator.args.graph.memory=low"]
    overrides += ["eval.engine=faiss"]
    trainer = _trainer(run.path, *overrides)
    trainer.resume()
    assert trainer.progress.epoch == 3


def test_a_changed_config_is_not_continued(run: RunFolder) -> None:
    other = _trainer(run.path, "optim.embedder.lr=0.05", "generator.args.alpha=9", "eval.ks=[1]")
    changed = r"\(generator\.args\.alpha, optim\.embedder\.lr, eval\.ks\)"
    with pytest.raises(ValueError, match=rf"was changed since the run began {changed}"):
        other.resume()
