"""Going on from a checkpoint: what may change, and one sentence where it does not fit."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gcahng.commands.train import resume_run
from gcahng.config import load_config
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.folder import RunFolder
from tests.gcahng.training.test_trainer import _trainer


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> RunFolder:
    """A finished run, to change at will."""
    return RunFolder(Path(shutil.copytree(digits_run, tmp_path / "run")))


def drop(*keys: str) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        for key in keys[:-1]:
            state = state[key]
        del state[keys[-1]]

    return change


def other_width(state: dict[str, Any]) -> None:
    state["embedder"]["fc.1.weight"] = torch.zeros(5, 3)


def fewer_optimizers(state: dict[str, Any]) -> None:
    state["optimizers"].pop()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("optimizers"), "it has no 'optimizers'"),
        (drop("generator"), "it has no 'generator'"),
        (drop("random"), "it has no 'random'"),
        (drop("random", "torch"), "it has no 'torch'"),
        (drop("history"), "it has no 'history'"),
        (drop("embedder", "fc.1.weight"), "Missing key"),
        (other_width, "size mismatch"),
        (fewer_optimizers, "argument 2 is shorter"),
    ],
)
def test_a_checkpoint_that_lacks_a_part(
    run: RunFolder, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    state = load_checkpoint(run.last)
    change(state)
    torch.save(state, run.last)
    with pytest.raises(ValueError, match=r"last\.pt' cannot be continued, since") as info:
        _trainer(run.path).resume()
    assert words in str(info.value)
    assert "start a new run" in str(info.value)


def test_data_that_moved_is_named_when_resuming(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    before = run.results.read_text()
    resume_run(run, tmp_path / "moved")
    assert f"root: {tmp_path / 'moved'}" in run.config.read_text()
    assert load_config(run.config).data.root == str(tmp_path / "moved")
    assert before.split('"seconds"')[0] == run.results.read_text().split('"seconds"')[0]
    with pytest.raises(FileNotFoundError, match="--root: there is no folder"):
        resume_run(run, tmp_path / "nowhere")


def test_settings_that_do_not_change_the_figures_may_change(run: RunFolder) -> None:
    overrides = ["train.max_seconds=1000", "output=elsewhere", "fabric.accelerator=cpu"]
    overrides += ["data.workers=1", "fabric.threads=1", "generator.args.graph.memory=low"]
    overrides += ["train.keep_every=2", "eval.engine=faiss", "fabric.channels_last=true"]
    trainer = _trainer(run.path, *overrides)
    trainer.resume()
    assert trainer.progress.epoch == 3
