"""Devices and processes that a training cannot have."""

import os
from pathlib import Path

import pytest
import torch

from gcahng.training.place import Place, place
from tests.gcahng.training.test_trainer import _trainer


def test_processes_that_were_not_started_are_missed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ask for 2 processes, but 1 was started: start the"):
        _trainer(tmp_path, "fabric.accelerator=cpu", "fabric.devices=2")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["fabric.devices=[0,1]"], r"^fabric: accelerator 'cpu' with devices \[0, 1\]"),
        (["fabric.strategy=nothing"], r"^fabric\.strategy: expected one of auto, ddp, got 'nothi"),
    ],
)
def test_impossible_devices_are_one_sentence(
    tmp_path: Path, overrides: list[str], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        _trainer(tmp_path, "fabric.accelerator=cpu", *overrides)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WORLD_SIZE": "1", "RANK": "0"}, None),
        ({"WORLD_SIZE": "4"}, None),
        ({"WORLD_SIZE": "4", "RANK": "2"}, Place(2, 4, 4)),
        ({"WORLD_SIZE": "8", "RANK": "5", "LOCAL_WORLD_SIZE": "2"}, Place(5, 8, 2)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, None),  # the script of a batch job
        (
            {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2"},
            Place(3, 4, 2),
        ),
    ],
)
def test_place_of_a_launched_process(environment: dict[str, str], expected: Place | None) -> None:
    found = place(environment)
    assert found == expected
    assert found is None or found.nodes * found.local_size == found.size


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
