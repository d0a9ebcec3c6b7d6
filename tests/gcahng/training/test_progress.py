"""Which epoch is kept: one that is better by more than the noise, the earlier of equal ones."""

from pathlib import Path

import pytest
import torch

from gcahng.evaluation.comparison import standard_error
from gcahng.evaluation.retrieval import QueryScores
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.training.cost import WorkClock
from gcahng.training.measurements import Measurement, Measurements
from gcahng.training.progress import TrainingProgress
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


def test_without_scores_any_gain_counts() -> None:
    progress = TrainingProgress(WorkClock(torch.device("cpu")))
    assert progress.keep_if_better(0.5)
    assert not progress.keep_if_better(0.5)
    assert progress.keep_if_better(0.5001)


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
