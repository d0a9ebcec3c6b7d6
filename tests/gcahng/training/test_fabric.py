"""Devices and processes that a training cannot have."""

import os
from pathlib import Path

import pytest
import torch

from gcahng.config import load_config
from gcahng.runs.folder import RunFolder
from gcahng.training import fabric, launch
from gcahng.training.fabric import check_same_training, precision_note
from gcahng.training.launch import start_others
from gcahng.training.place import Place, is_first, place
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


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("other", "folder", "continues", "named"),
    [
        ("seed=1", "run", False, "seed"),
        ("batch.chunk=2", "run", False, "batch.chunk"),
        ("output=elsewhere", "elsewhere", False, "--run"),
        ("seed=0", "run", True, "--resume"),
    ],
)
def test_processes_of_different_trainings_all_stop(
    other: str,
    folder: str,
    continues: bool,
    named: str,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = (load_config("digits"), RunFolder(Path("run")), False)
    theirs = (load_config("digits", [other]), folder, continues)

    def gather(facts: object, group: object) -> list[object]:
        return [facts, theirs] if number == 0 else [theirs, facts]

    monkeypatch.setattr(fabric, "from_all", gather)
    with pytest.raises(ValueError, match=f"^the processes of this training differ in {named}: "):
        check_same_training(*mine, None)


def test_processes_of_one_training_may_have_their_data_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = load_config("digits", ["data.root=scratch"])
    monkeypatch.setattr(fabric, "from_all", lambda facts, group: [facts, (other, *facts[1:])])
    check_same_training(load_config("digits"), RunFolder(Path("run")), False, None)


@pytest.mark.parametrize(
    ("precision", "device", "flags", "slow"),
    [
        ("bf16-mixed", "cpu", "fpu avx2", True),
        ("bf16-mixed", "cpu", "fpu avx512_bf16", False),
        ("bf16-mixed", "cuda", "fpu avx2", False),
        ("32-true", "cpu", "fpu avx2", False),
    ],
)
def test_bfloat16_without_units_for_it_is_said(
    precision: str,
    device: str,
    flags: str,
    slow: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")
    monkeypatch.setattr(fabric, "CPU_INFO", tmp_path / "cpuinfo")
    note = precision_note(precision, torch.device(device))
    assert (note is not None) == slow
    monkeypatch.setattr(fabric, "CPU_INFO", tmp_path / "of_another_system")
    assert precision_note(precision, torch.device(device)) is None


@pytest.mark.parametrize("number", ["0", "1"])
def test_a_machine_alone_is_the_first(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_RANK", number)
    assert is_first()
    assert is_first(num_nodes=2) == (number == "0")


def test_variables_that_are_left_over_do_not_reach_the_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = {"MASTER_PORT": "1", "NODE_RANK": "1", "TORCHELASTIC_RUN_ID": "x", "SLURM_PROCID": "1"}
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    started: list[dict[str, str]] = []

    class Process:
        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            started.append(env)

        def poll(self) -> int:
            return 0

        def kill(self) -> None: ...

        def wait(self, seconds: float) -> None: ...

    monkeypatch.setattr(launch, "number_of_devices", lambda section: 2)
    monkeypatch.setattr(launch.subprocess, "Popen", Process)
    before = dict(os.environ)
    with start_others(load_config("digits").fabric):
        first = dict(os.environ)
    assert dict(os.environ) == before
    (second,) = started
    for number, environment in enumerate((first, second)):
        assert environment["RANK"] == environment["LOCAL_RANK"] == str(number)
        assert environment["WORLD_SIZE"] == "2"
        assert environment["NODE_RANK"] == "0"
        assert environment["MASTER_PORT"] == first["MASTER_PORT"] != "1"
        assert not {"TORCHELASTIC_RUN_ID", "SLURM_PROCID"} & environment.keys()


def test_a_training_makes_its_gpu_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", made.append)
    _trainer(tmp_path)
    assert made == [], "on the CPU"

    class OnSecond:
        device, world_size = torch.device("cuda", 1), 1

    monkeypatch.setattr(fabric, "make_fabric", lambda *_: OnSecond())
    fabric.build_fabric(load_config("digits", ["fabric.devices=[1]"]), RunFolder(tmp_path))
    assert made == [torch.device("cuda", 1)]


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
