"""Whole trainings by two processes: the figures of one, however they are started or stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.folder import RunFolder
from tests.conftest import MakeOnce

REPOSITORY = Path(__file__).parents[3]
EPOCHS = 2
SETTINGS = [
    *(f"train.epochs={EPOCHS}", "batch.samples=20", "batch.classes=5", "embedder.dim=8"),
    *("data.validation=0", "fabric.accelerator=cpu", "fabric.precision=64-true"),
    "generator.args.graph.layers=1",
]
GCAHNG = [sys.executable, "-m", "gcahng"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "gcahng"]
TWO = "fabric.devices=2"
pytestmark = pytest.mark.slow


def train(folder: Path, *settings: str, program: list[str] = GCAHNG, **env: str) -> Any:
    """Start a training of a small run in `folder`, which heeds Ctrl-C."""
    place = [f"name={folder.name}", "seed=0", f"output={folder.parent}"]
    command = [*program, "train", "digits", *SETTINGS, *place, *settings]
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A process that a shell put in the background ignores it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def task(number: int) -> dict[str, str]:
    """What srun tells one of two tasks."""
    return {
        "SLURM_JOB_ID": "17",
        "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NODEID": "0",
        "SLURM_PROCID": str(number),
        "SLURM_LOCALID": str(number),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(20000 + os.getpid() % 20000),
    }


def finished(process: Any, status: int = 0) -> str:
    """What a training printed; it must end with this status."""
    text = process.communicate(timeout=240)[0]
    assert process.returncode == status, text
    return str(text)


def run_of(folder: Path) -> RunFolder:
    return RunFolder(folder.with_name(f"{folder.name}-seed0"))


@pytest.fixture(scope="module")
def by_one(make_once: MakeOnce) -> RunFolder:
    def build(folder: Path) -> None:
        finished(train(folder))
        run_of(folder).path.rename(folder)

    return RunFolder(make_once("launched-by-one", build))


def assert_same_run(found: RunFolder, expected: RunFolder) -> None:
    """The same figures and, up to rounding, the same weights."""
    figures, wanted = (json.loads(run.results.read_text()) for run in (found, expected))
    for name, value in wanted.items():
        if name.startswith(("last/", "best/")):
            assert figures[name] == pytest.approx(value, abs=1e-9), name
    weights = load_checkpoint(found.last)["embedder"]
    for name, value in load_checkpoint(expected.last)["embedder"].items():
        torch.testing.assert_close(weights[name], value, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("way", ["devices", "torchrun", "srun"])
def test_two_processes_end_with_the_figures_of_one(
    tmp_path: Path, by_one: RunFolder, way: str
) -> None:
    folder = tmp_path / "two"
    if way == "devices":
        text = finished(train(folder, TWO))
    elif way == "torchrun":
        text = finished(train(folder, program=TORCHRUN))
    else:
        tasks = [train(folder, **task(number)) for number in range(2)]
        text, silent = (finished(task) for task in tasks)
        assert silent == ""
    assert text.count(f"epoch {EPOCHS}/{EPOCHS}") == 1
    assert text.count("report: ") == 1
    assert_same_run(run_of(folder), by_one)


def test_processes_of_different_trainings_stop_in_one_sentence(tmp_path: Path) -> None:
    tasks = [train(tmp_path / "run", f"seed={number}", **task(number)) for number in range(2)]
    said = "".join(finished(task, status=1) for task in tasks)
    # By the first that finds out.
    assert said.count("the processes of this training differ in --run, seed: ") == 1
    assert said.count("error: ") == 1
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_processes_share_the_features_of_a_frozen_backbone(tmp_path: Path) -> None:
    frozen = ("embedder.freeze=[backbone]", "embedder.head=residual", "train.epochs=1")
    for name, *devices in (("one",), ("two", TWO)):
        finished(train(tmp_path / name, *frozen, *devices, GCAHNG_CACHE=str(tmp_path / name)))
        files = (tmp_path / name / "features").glob("*.safetensors")
        assert len(list(files)) == 6, "the images as they are, four views, the test images"
    assert_same_run(run_of(tmp_path / "two"), run_of(tmp_path / "one"))


def wait_for(path: Path, process: Any) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert path.exists()


def processes_of(folder: Path) -> list[int]:
    pattern = f"name={folder.name} seed=0 output={folder.parent}"
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True)
    return sorted(map(int, found.stdout.split()))


@pytest.mark.parametrize("number", [None, 1])
def test_a_killed_process_ends_the_training_in_one_sentence(
    tmp_path: Path, number: int | None
) -> None:
    folder = tmp_path / "killed"
    process = train(folder, TWO, "train.epochs=2000")
    wait_for(run_of(folder).last, process)
    parent, *both = processes_of(folder)
    assert parent == process.pid
    assert len(both) == 2
    os.kill(parent if number is None else both[number], signal.SIGKILL)
    text = process.communicate(timeout=60)[0]
    if number is None:
        assert "error: the process that started this training has ended\n" in text
    else:
        assert f"error: process {number} of 2 was ended by signal 9 (Killed), so the tr" in text
    assert text.count("error: ") == 1
    assert "Traceback" not in text
    assert processes_of(folder) == []


def test_ctrl_c_saves_and_leaves_no_process(tmp_path: Path) -> None:
    """For the first process alone; from a terminal, all get it."""
    folder = tmp_path / "interrupted"
    process = train(folder, TWO, "train.epochs=2000")
    wait_for(run_of(folder).last, process)
    os.kill(process.pid, signal.SIGINT)
    text = finished(process, status=130)
    assert text.count("continue with: ") == 1
    assert run_of(folder).last.exists()
    assert processes_of(folder) == []


# `gcahng` with a signal to process 0 in step 3 of its second epoch.
STOPPED = """
import os, signal
from gcahng import cli
from gcahng.training.trainer import Trainer
save = Trainer._save_or_stop
def save_or_stop(self, interruption, step, log):
    if (self.progress.epoch, step, os.environ["RANK"]) == (2, 3, "0"):
        os.kill(os.getpid(), signal.SIGUSR1)
    save(self, interruption, step, log)
Trainer._save_or_stop = save_or_stop
cli.main()
"""


def test_a_signal_saves_and_another_number_of_processes_goes_on(
    tmp_path: Path, by_one: RunFolder
) -> None:
    folder, program = tmp_path / "stopped", tmp_path / "stopped.py"
    program.write_text(STOPPED)
    text = finished(train(folder, TWO, program=[sys.executable, str(program)]), status=75)
    run = run_of(folder)
    assert "stopped by a signal after step 3 of epoch 2, and saved" in text
    assert f"continue with: gcahng train --resume {run.path}" in text
    stopped = load_checkpoint(run.partial)
    assert (stopped["epoch"], stopped["step"]) == (2, 3)
    text = finished(train(folder, "--resume", "auto"))
    assert "epoch 1/" not in text
    assert not run.partial.exists()
    assert_same_run(run, by_one)
