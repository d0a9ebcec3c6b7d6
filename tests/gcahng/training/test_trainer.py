"""A whole training on digits: exactness of resuming, what a run leaves, what it refuses."""

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gcahng.commands.run import resume_run
from gcahng.config import load_config
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.folder import RunFolder
from gcahng.training.trainer import Trainer
from tests.conftest import SMALL

REPOSITORY = Path(__file__).parents[3]


class Quiet:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def step(self, epoch: int, step: int, steps: int, losses: dict[str, float]) -> None:
        assert 0 < step <= steps

    def work(self, title: str, done: int, total: int) -> None:
        assert 0 < done <= total

    def epoch(self, row: dict[str, float], best: float | None) -> None:
        self.rows.append(row)


def _trainer(folder: Path, *overrides: str) -> Trainer:
    config = load_config("digits", [*SMALL, *overrides])
    run = RunFolder(folder)
    if not run.begun:
        run.create(config)
    return Trainer.set_up(config, run, Quiet())


def results_of(run: Trainer | RunFolder) -> dict[str, Any]:
    """What a training wrote at its end."""
    folder = run.folder if isinstance(run, Trainer) else run
    found: dict[str, Any] = json.loads(folder.results.read_text(encoding="utf-8"))
    return found


def assert_same_figures(one: RunFolder, other: RunFolder) -> None:
    """Metrics and weights equal to the last bit; times may differ."""
    figures = [results_of(folder) for folder in (one, other)]
    for one_figures in figures:
        for measured in ("seconds", "peak_memory_mib"):
            del one_figures[measured]
    assert figures[0] == figures[1]
    states = [load_checkpoint(folder.last) for folder in (one, other)]
    pairs = [[load_file(folder.model) for folder in (one, other)]]
    pairs.append([state["embedder"] for state in states])
    for weights, others in pairs:
        assert weights.keys() == others.keys()
        assert all(torch.equal(value, others[name]) for name, value in weights.items())
    rows, times = [], {"seconds": ""}
    for folder in (one, other):
        with folder.metrics.open() as file:
            rows.append([{**row, **times} for row in csv.DictReader(file)])
    assert rows[0] == rows[1]


def test_run_leaves_the_promised_files(digits_run: Path) -> None:
    whole_run = RunFolder(digits_run)
    for path in (whole_run.config, whole_run.metrics, whole_run.last, whole_run.best):
        assert path.is_file()
    assert list((whole_run.path / "tensorboard").glob("events*"))
    environment = json.loads((whole_run.path / "environment.json").read_text())
    assert torch.__version__.startswith(environment["libraries"]["torch"])
    with whole_run.metrics.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"loss/metric", "loss/generator", "loss/gradient", "test/recall@1"} <= rows[0].keys()
    results = results_of(whole_run)
    assert results["selected_on"] == "test"
    assert results["embedder_parameters"] > results["generator_parameters"] > 0
    figures = {int(row["epoch"]): float(row["test/map@r"]) for row in rows}
    assert results["best/map@r"] == figures[results["best_epoch"]]
    assert results["highest_value"] == max(figures.values())
    assert not list(whole_run.path.rglob(".*"))


KILLED = """
import os, signal
from gcahng import cli
from gcahng.training.trainer import Trainer
def kill(self, interruption, step, log):
    if (self.progress.epoch, step) == (2, 3):
        os.kill(os.getpid(), signal.SIGKILL)
Trainer._save_or_stop = kill
cli.main()
"""


@pytest.mark.slow
def test_killed_run_resumes_to_the_same_end(digits_run: Path, tmp_path: Path) -> None:
    """SIGKILL in mid-epoch, then --resume: the same figures and weights as without."""
    killed = RunFolder(tmp_path / "killed")
    command = [sys.executable, "-c", KILLED, "train", "digits", *SMALL, "--run", killed.path]
    process = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    assert process.returncode == -signal.SIGKILL
    assert killed.last.exists()
    assert not killed.results.exists()
    resume_run(killed)
    assert killed.report.is_file()
    assert_same_figures(RunFolder(digits_run), killed)


def test_warmup_trains_only_fc(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, "train.warmup_epochs=1", "generator=null")
    backbone = [p.detach().clone() for p in trainer.experiment.embedder.backbone.parameters()]
    embedder = trainer.experiment.embedder
    fc = embedder.fc[1].weight.detach().clone()
    trainer.train_epoch()
    same = zip(backbone, embedder.backbone.parameters(), strict=True)
    assert all(torch.equal(before, after) for before, after in same)
    assert not torch.equal(fc, embedder.fc[1].weight)
    trainer.train_epoch()
    assert not torch.equal(backbone[0], next(embedder.backbone.parameters()))


def test_only_measured_epochs_can_be_best(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, "eval.every=2", "train.epochs=3", "generator=null")
    trainer.end_epoch(trainer.train_epoch())
    assert trainer.progress.best is None
    assert not trainer.folder.best.exists()
    results = trainer.fit()
    assert results["best_epoch"] in (2, 3)
    assert [("test/recall@1" in row) for row in trainer.progress.history] == [False, True, True]
