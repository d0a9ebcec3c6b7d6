"""A whole training on digits: exactness of resuming, what a run leaves, what it refuses."""

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gcahng.builders import images
from gcahng.commands.run import resume_run
from gcahng.config import load_config
from gcahng.jobs.claim import LOCK
from gcahng.reports.run_report import report_run
from gcahng.runs import loading
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.folder import RunFolder
from gcahng.training import checkpoints, measurements
from gcahng.training.trainer import Trainer
from tests.conftest import SMALL

REPOSITORY = Path(__file__).parents[3]


class Quiet:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.evaluated = 0

    def warm_start(self, step: int, steps: int, loss: float) -> None:
        assert 0 < step <= steps

    def step(self, epoch: int, step: int, steps: int, losses: dict[str, float]) -> None:
        assert 0 < step <= steps

    def features(self, done: int, images: int) -> None:
        assert 0 < done <= images

    def evaluation(self, done: int, images: int) -> None:
        assert 0 < done <= images
        self.evaluated = done

    def epoch(self, row: dict[str, float], best: float | None) -> None:
        self.rows.append(row)


def _trainer(folder: Path, *overrides: str) -> Trainer:
    config = load_config("digits", [*SMALL, *overrides])
    run = RunFolder(folder)
    if not run.begun:
        run.create(config)
    return Trainer.set_up(config, run, Quiet())


@pytest.fixture(scope="module")
def whole_run(digits_run: Path) -> RunFolder:
    """A run that nothing interrupts."""
    return RunFolder(digits_run)


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
    weights = [load_file(folder.model) for folder in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    rows, times = [], {"seconds": ""}
    for folder in (one, other):
        with folder.metrics.open() as file:
            rows.append([{**row, **times} for row in csv.DictReader(file)])
    assert rows[0] == rows[1]
    assert one.hardness.read_bytes() == other.hardness.read_bytes()


def test_run_leaves_the_promised_files(whole_run: RunFolder) -> None:
    for path in (whole_run.config, whole_run.metrics, whole_run.last, whole_run.best):
        assert path.is_file()
    assert list((whole_run.path / "tensorboard").glob("events*"))
    environment = json.loads((whole_run.path / "environment.json").read_text())
    assert torch.__version__.startswith(environment["libraries"]["torch"])
    with whole_run.metrics.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    hardness = json.loads(whole_run.hardness.read_text())
    assert [row["epoch"] for row in hardness] == [1, 2, 3]
    assert {"loss/metric", "loss/generator", "loss/gradient", "test/recall@1"} <= rows[0].keys()
    results = results_of(whole_run)
    assert results["selected_on"] == "test"
    assert results["embedder_parameters"] > results["generator_parameters"] > 0
    figures = {int(row["epoch"]): float(row["test/map@r"]) for row in rows}
    assert results["best/map@r"] == figures[results["best_epoch"]]
    assert results["highest_value"] == max(figures.values())
    hidden = [path.name for path in whole_run.path.rglob(".*") if path.is_file()]
    assert hidden == [LOCK]


@pytest.mark.slow
def test_the_test_split_is_embedded_once_per_epoch_that_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two evaluated epochs, results and report: each image is loaded three times."""
    loaded, opened, read = [], [], []
    monkeypatch.setattr(
        measurements, "embed_together", _counted(measurements.embed_together, loaded)
    )
    monkeypatch.setattr(images, "build_dataset", _counted(images.build_dataset, opened))
    monkeypatch.setattr(checkpoints, "load_checkpoint", _counted(load_checkpoint, read))
    monkeypatch.setattr(loading, "load_checkpoint", _counted(load_checkpoint, read))
    trainer = _trainer(tmp_path, "train.epochs=2")
    trainer.fit()
    report_run(trainer.folder, trainer.evaluated_run())
    assert trainer.display.evaluated == len(trainer.experiment.splits.test)
    assert len(loaded) == 3, "before training, and after each epoch"
    assert [arguments[1] for arguments in opened] == ["train", "test"]
    assert len(read) == (trainer.progress.best_epoch != 2), "the best epoch, unless it is the last"


def _counted(function: Callable[..., Any], calls: list[Any]) -> Callable[..., Any]:
    def counted(*args: Any, **settings: Any) -> Any:
        calls.append(args)
        return function(*args, **settings)

    return counted


@pytest.mark.slow
def test_resume_continues_exactly(whole_run: RunFolder, tmp_path: Path) -> None:
    first = _trainer(tmp_path)
    first.begin()
    for epoch in range(2):
        torch.manual_seed(123)
        trainer = _trainer(tmp_path)
        trainer.resume()
        assert trainer.progress.epoch == epoch
        if epoch == 0:
            found, expected = trainer.progress.best_scores, first.progress.best_scores
            assert torch.equal(found.scores, expected.scores)
            trainer.end_epoch(trainer.train_epoch())
    trainer.fit()
    assert_same_figures(whole_run, trainer.folder)


def test_another_seed_begins_with_other_weights(tmp_path: Path) -> None:
    one, other = (_trainer(tmp_path / seed, f"seed={seed}").experiment.embedder for seed in "01")
    assert not torch.equal(one.fc[1].weight, other.fc[1].weight)


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
def test_killed_run_resumes_to_the_same_end(whole_run: RunFolder, tmp_path: Path) -> None:
    """SIGKILL in mid-epoch, then --resume: the same figures and weights as without."""
    killed = RunFolder(tmp_path / "killed")
    command = [sys.executable, "-c", KILLED, "train", "digits", *SMALL, "--run", killed.path]
    process = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    assert process.returncode == -signal.SIGKILL
    assert killed.last.exists()
    assert not killed.results.exists()
    resume_run(killed)
    assert killed.report.is_file()
    assert_same_figures(whole_run, killed)


def test_warmup_trains_only_fc(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, "train.warmup_epochs=1", "generator=null")
    backbone = [p.detach().clone() for p in trainer.experiment.embedder.backbone.parameters()]
    fc = trainer.experiment.embedder.fc[1].weight.detach().clone()
    trainer.train_epoch()
    embedder = trainer.experiment.embedder
    same = zip(backbone, embedder.backbone.parameters(), strict=True)
    assert all(torch.equal(before, after) for before, after in same)
    assert not torch.equal(fc, trainer.experiment.embedder.fc[1].weight)
    trainer.train_epoch()
    assert not torch.equal(backbone[0], next(trainer.experiment.embedder.backbone.parameters()))


def test_frozen_batch_norm_keeps_its_statistics(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, "embedder.freeze=[bn]", "generator=null")
    before = {n: b.clone() for n, b in trainer.experiment.embedder.backbone.named_buffers()}
    fc_mean = trainer.experiment.embedder.fc[0].running_mean.clone()
    trainer.train_epoch()
    assert before
    after = dict(trainer.experiment.embedder.backbone.named_buffers())
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not torch.equal(fc_mean, trainer.experiment.embedder.fc[0].running_mean)


def test_proxies_have_their_own_group_and_are_resumed(tmp_path: Path) -> None:
    overrides = ["loss.name=proxy_anchor", "loss.lr=0.05", "train.epochs=2"]
    trainer = _trainer(tmp_path, *overrides)
    group = trainer.experiment.optimizers.embedder.param_groups[-1]
    assert group["lr"] == 0.05
    assert group["params"][0] is trainer.experiment.loss.proxies
    before = trainer.experiment.loss.proxies.detach().clone()
    row = trainer.train_epoch()
    assert row["loss/synthetic"] > 0, "the synthetic N-pair term enters beside Proxy-Anchor"
    assert not torch.equal(before, trainer.experiment.loss.proxies)
    trainer.end_epoch(row)
    resumed = _trainer(tmp_path, *overrides)
    resumed.resume()
    assert torch.equal(resumed.experiment.loss.proxies, trainer.experiment.loss.proxies)
    state = resumed.experiment.optimizers.embedder.state[resumed.experiment.loss.proxies]
    assert torch.equal(
        state["exp_avg"],
        trainer.experiment.optimizers.embedder.state[trainer.experiment.loss.proxies]["exp_avg"],
    )


def test_node_ce_control_trains_no_generator(tmp_path: Path) -> None:
    weights = "generator.args.weights={gamma: 0, similarity: 0, diversity: 0}"
    trainer = _trainer(tmp_path, weights, "generator.args.synthetic_weight=0")
    assert trainer.experiment.optimizers.classifier is None
    row = trainer.train_epoch()
    assert "loss/node_ce" in row
    assert not {"loss/synthetic", "loss/generator", "loss/classifier"} & row.keys()


def test_only_measured_epochs_can_be_best(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, "eval.every=2", "train.epochs=3", "generator=null")
    trainer.end_epoch(trainer.train_epoch())
    assert trainer.progress.best is None
    assert not trainer.folder.best.exists()
    results = trainer.fit()
    assert results["best_epoch"] in (2, 3)
    assert [("test/recall@1" in row) for row in trainer.progress.history] == [False, True, True]


def test_bf16_trains(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, "fabric.precision=bf16-mixed")
    assert trainer.train_epoch()["loss/metric"] > 0
    assert next(trainer.experiment.embedder.parameters()).dtype == torch.float32
