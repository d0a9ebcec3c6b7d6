"""Which epoch is kept, and how a training ends: out of time or disk, diverged, or in vain."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from gcahng.config.sections import TrainConfig
from gcahng.evaluation.comparison import standard_error
from gcahng.evaluation.retrieval import QueryScores
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.training.measurements import Measurement, Measurements, NonFiniteLossError
from gcahng.training.progress import TrainingProgress, WorkClock
from tests.gcahng.training.test_trainer import _trainer


def scores(*hits: float) -> QueryScores:
    """Of one query of each class."""
    found = torch.tensor(hits, dtype=torch.float64).unsqueeze(1).expand(-1, 3).clone()
    return QueryScores(torch.arange(len(hits)), (1,), found, torch.ones(len(hits)))


def offer(progress: TrainingProgress, epoch: int, found: QueryScores) -> bool:
    progress.epoch = epoch
    noise = progress.noise(found, "map@r")
    return progress.keep_if_better(found.means()["map@r"], noise, found)


def test_a_gain_within_the_noise_is_not_kept() -> None:
    progress = TrainingProgress(WorkClock(torch.device("cpu")))
    start = scores(0.5, 0.5, 0.5, 0.5)
    noisy = scores(0.8, 0.3, 0.7, 0.4)  # 0.05 more on average, the classes differ by far more
    steady = scores(0.54, 0.56, 0.55, 0.54)
    assert offer(progress, 0, start)
    assert not offer(progress, 1, start), "of equal epochs the earlier one"
    assert standard_error(noisy, start, "map@r") > 0.05
    assert not offer(progress, 2, noisy)
    assert offer(progress, 3, steady)
    assert (progress.best_epoch, progress.best_value) == (3, pytest.approx(0.5475))
    assert progress.highest == {"epoch": 2, "value": pytest.approx(0.55)}


def test_epoch_0_has_a_checkpoint_and_is_kept_if_no_other_is_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(measured: Measurements, epoch: int) -> Measurement:
        found = measured.test(epoch)
        return Measurement(dict.fromkeys(found.figures, 0.0), found.embeddings, found.scores)

    monkeypatch.setattr(Measurements, "selection", worse)
    trainer = _trainer(tmp_path / "run", "train.epochs=1")
    before = {n: v.clone() for n, v in trainer.experiment.embedder.state_dict().items()}
    results = trainer.fit()
    assert (results["best_epoch"], results["epochs"]) == (0, 1)
    kept = load_checkpoint(trainer.folder.best)
    assert kept["epoch"] == 0
    assert all(torch.equal(kept["embedder"][name], value) for name, value in before.items())
    assert results["best/map@r"] == pytest.approx(results["zero_shot/head/map@r"])


def test_divergence_stops_with_the_terms_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path)
    trainer.end_epoch(trainer.train_epoch())
    saved = trainer.folder.last.read_bytes()
    with torch.no_grad():
        trainer.experiment.embedder.fc[1].weight[0, 0] = torch.nan
    with pytest.raises(NonFiniteLossError, match=r"step 1 of epoch 2 \(metric = nan.*optim\.clip"):
        trainer.fit()
    assert trainer.folder.last.read_bytes() == saved


def test_a_training_that_is_out_of_time_is_measured_and_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    results = _trainer(tmp_path, "eval.every=3", "train.max_seconds=0.001").fit()
    assert results["epochs"] == results["best_epoch"] == 1
    assert set(threading.enumerate()) <= before, "TensorBoard's writer"


# The figure by epoch: the best so far, and from then on no better.
FIGURES = [0.5, 0.4, 0.6, 0.6, 0.5, 0.7, 0.1, 0.1]


@pytest.mark.parametrize(
    ("settings", "every", "epochs", "best", "reached"),
    [
        ({"patience": 1}, 1, 2, 1, "patience"),
        ({"patience": 2}, 1, 5, 3, "patience"),
        ({"patience": 3}, 1, 8, 6, "epochs"),
        ({"patience": 1}, 2, 8, 6, "epochs"),
        ({"patience": 2, "max_seconds": 0.5}, 1, 1, 1, "max_seconds"),
        ({}, 1, 8, 6, "epochs"),
    ],
)
def test_a_training_ends_after_so_many_evaluations_in_vain(
    settings: dict[str, Any], every: int, epochs: int, best: int, reached: str
) -> None:
    limits = TrainConfig(epochs=8, **settings)
    progress = TrainingProgress(WorkClock(torch.device("cpu")))
    while (found := progress.reached_limit(limits, "val/x")) is None:
        progress.epoch += 1
        progress.clock.seconds += 1
        progress.step = 4
        assert progress.reached_limit(limits, "val/x") is None, "within an epoch"
        progress.step = 0
        row = {"epoch": float(progress.epoch)}
        if progress.epoch % every == 0:
            row["val/x"] = FIGURES[progress.epoch - 1]
            progress.keep_if_better(row["val/x"])
        progress.history.append(row)
    assert (progress.epoch, progress.best_epoch, found) == (epochs, best, reached)
