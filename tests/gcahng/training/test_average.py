"""The moving average of the embedder's weights: what it is, where it is used, how it resumes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gcahng.evaluation.evaluate import retrieval_figures
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.embedding import embed_split
from gcahng.runs.loading import load_run
from gcahng.training.trainer import Trainer
from tests.gcahng.training.test_trainer import _trainer, results_of

EMA = "train.ema=0.9"


@pytest.fixture(scope="module")
def averaged(trained: Callable[..., Trainer]) -> Trainer:
    """The training of `digits_run` with an average."""
    return trained(EMA)


def _values(module: nn.Module) -> dict[str, Tensor]:
    found = {name: value.clone() for name, value in module.state_dict().items()}
    return {name: value for name, value in found.items() if value.is_floating_point()}


def test_it_is_the_average_of_the_weights_after_each_step(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, EMA, "fabric.precision=64-true")
    experiment = trainer.experiment
    expected: dict[str, Tensor] = {}
    for number, (images, labels) in enumerate(trainer.loader):
        trainer.step(experiment.to_device(images), labels)
        experiment.update_average()
        now = _values(experiment.embedder)
        expected = {
            name: value if number == 0 else 0.9 * expected[name] + 0.1 * value
            for name, value in now.items()
        }
        if number == 4:
            break
    found = _values(experiment.evaluated)
    assert any("running_var" in name for name in found), "of BatchNorm statistics too"
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)
    assert any(not torch.equal(found[name], value) for name, value in now.items())


def test_it_does_not_change_the_training(averaged: Trainer, digits_run: Path) -> None:
    raw = load_checkpoint(averaged.folder.last)["trained_embedder"]
    for name, value in load_run(digits_run, last=True).embedder.state_dict().items():
        assert torch.equal(value, raw[name]), name


def test_it_is_what_is_evaluated_and_saved(averaged: Trainer) -> None:
    state = load_checkpoint(averaged.folder.best)
    shared = load_file(averaged.folder.model)
    run = load_run(averaged.folder.path)
    reported = averaged.evaluated_run().run.embedder.state_dict()
    for name, value in state["embedder"].items():
        for other in (shared, run.embedder.state_dict(), reported):
            assert torch.equal(value, other[name]), name
    if averaged.progress.best_epoch:
        pairs = zip(state["embedder"].values(), state["trained_embedder"].values(), strict=True)
        assert any(not torch.equal(*pair) for pair in pairs)
    found = embed_split(run)
    figures = retrieval_figures(found.embeddings, found.dataset, averaged.config)
    assert figures["recall@1"] == results_of(averaged)["best/recall@1"]
