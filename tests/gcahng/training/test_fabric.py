"""Devices and processes that a training cannot have."""

import os
from pathlib import Path

import pytest
import torch

from tests.gcahng.training.test_trainer import _trainer


def test_more_than_one_process_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"2 processes.*spans one process only"):
        _trainer(tmp_path, "fabric.accelerator=cpu", "fabric.devices=2")


def test_torchrun_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match="4 processes"):
        _trainer(tmp_path)


@pytest.mark.parametrize("overrides", [["fabric.devices=[0,1]"], ["fabric.strategy=nothing"]])
def test_impossible_devices_are_one_sentence(tmp_path: Path, overrides: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^(fabric: accelerator 'cpu'|2 processes)"):
        _trainer(tmp_path, "fabric.accelerator=cpu", *overrides)


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
