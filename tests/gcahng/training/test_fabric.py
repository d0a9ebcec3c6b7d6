"""Devices and processes that a training cannot have."""

import os
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from gcahng.config import load_config
from gcahng.runs.folder import RunFolder
from gcahng.training import fabric
from gcahng.training.fabric import check_same_training
from tests.gcahng.training.test_trainer import _trainer


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ("2", "2 processes were asked for, and 1 started"),
        ("[0,1]", r"^fabric: accelerator 'cpu' with devices \[0, 1\]"),
    ],
)
def test_impossible_devices_are_one_sentence(devices: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        _trainer(tmp_path, "fabric.accelerator=cpu", f"fabric.devices={devices}")


@pytest.mark.parametrize(
    ("other", "folder", "continues", "named"),
    [
        ("batch.chunk=2", "run", False, "batch.chunk"),
        ("output=elsewhere", "elsewhere", False, "--run"),
        ("seed=0", "run", True, "--resume"),
        ("data.root=scratch", "run", False, ""),  # they may have their data elsewhere
    ],
)
def test_processes_of_different_trainings_all_stop(
    other: str, folder: str, continues: bool, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = (load_config("digits", [other]), folder, continues)
    both = [lambda facts, group: [facts, theirs], lambda facts, group: [theirs, facts]]
    for gather in both:
        monkeypatch.setattr(fabric, "from_all", gather)
        refused = pytest.raises(ValueError, match=f"differ in {named}:")
        with refused if named else nullcontext():
            check_same_training(load_config("digits"), RunFolder(Path("run")), False, None)


def test_deterministic_algorithms_are_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # restored afterwards
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    _trainer(tmp_path / "a")
    assert not torch.are_deterministic_algorithms_enabled()
    try:
        trainer = _trainer(tmp_path / "b", "fabric.deterministic=true")
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert trainer.train_epoch()["loss/metric"] > 0
    finally:
        torch.use_deterministic_algorithms(False)
