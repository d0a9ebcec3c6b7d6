"""The moving average of the embedder's weights: what it is, where it is used, how it resumes."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gcahng.config import load_config
from gcahng.evaluation.evaluate import retrieval_figures
from gcahng.models import Embedder, SmallConv
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.embedding import embed_split
from gcahng.runs.loading import load_run
from gcahng.training.experiment import _average
from gcahng.training.interruption import TrainingStopped
from gcahng.training.trainer import Trainer
from tests.gcahng.training.test_interruption import At, _train
from tests.gcahng.training.test_trainer import _trainer, assert_same_figures

EMA = "train.ema=0.9"


def _values(module: nn.Module) -> dict[str, Tensor]:
    found = {name: value.clone() for name, value in module.state_dict().items()}
    return {name: value for name, value in found.items() if value.is_floating_point()}


def test_it_is_the_average_of_the_weights_after_each_step(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, EMA, "fabric.precision=64-true")
    experiment = trainer.experiment
    expected: dict[str, Tensor] = {}
    for number, (images, labels) in enumerate(trainer.loader):
        trainer.step(experiment.to_device(images), labels)
        experiment.follow()
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


def test_without_it_the_embedder_itself_is_evaluated(tmp_path: Path) -> None:
    experiment = _trainer(tmp_path).experiment
    assert experiment.evaluated is experiment.embedder
    assert set(experiment.modules) == {"embedder", "loss", "generator"}


def test_it_does_not_change_the_training(tmp_path: Path) -> None:
    plain = _trainer(tmp_path / "plain")
    plain.fit()
    averaged = _trainer(tmp_path / "averaged", EMA)
    averaged.fit()
    raw = load_checkpoint(averaged.folder.last)["trained_embedder"]
    for name, value in load_checkpoint(plain.folder.last)["embedder"].items():
        assert torch.equal(value, raw[name]), name


def evaluate_again(trainer: Trainer) -> float:
    """The figure of the checkpoint as a user opens it."""
    run = embed_split(load_run(trainer.folder.path))
    return retrieval_figures(run.embeddings, run.dataset, trainer.config)["recall@1"]


def test_it_is_what_is_evaluated_and_saved(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, EMA, "train.epochs=2")
    results = trainer.fit()
    state = load_checkpoint(trainer.folder.best)
    shared = load_file(trainer.folder.model)
    opened = load_run(tmp_path).embedder.state_dict()
    reported = trainer.evaluated_run().run.embedder.state_dict()
    for name, value in state["embedder"].items():
        for other in (shared, opened, reported):
            assert torch.equal(value, other[name]), name
    assert any(
        not torch.equal(value, state["trained_embedder"][name])
        for name, value in state["embedder"].items()
    )
    assert evaluate_again(trainer) == results["best/recall@1"]


@pytest.mark.parametrize("steps", [1, 75])
def test_a_stopped_training_goes_on_exactly(tmp_path: Path, steps: int) -> None:
    whole = _trainer(tmp_path / "whole", EMA, "train.epochs=2")
    whole.fit()
    first = _trainer(tmp_path / "halved", EMA, "train.epochs=2")
    first.begin()
    with pytest.raises(TrainingStopped):
        _train(first, At(steps))
    torch.manual_seed(99)
    second = Trainer.set_up(first.config, first.folder, first.display)
    second.resume()
    second.fit()
    assert_same_figures(whole.folder, second.folder)
    states = [load_checkpoint(trainer.folder.last) for trainer in (whole, second)]
    assert states[0]["averaged_steps"] == states[1]["averaged_steps"] == 2 * len(whole.loader)
    for name, value in states[0]["trained_embedder"].items():
        assert torch.equal(value, states[1]["trained_embedder"][name])


def test_the_head_of_a_frozen_backbone_is_averaged(tmp_path: Path) -> None:
    frozen = ["embedder.freeze=[backbone]", f"data.root={tmp_path}", "data.views=1"]
    trainer = _trainer(tmp_path / "run", EMA, *frozen, "embedder.head=residual", "train.epochs=2")
    results = trainer.fit()
    average, embedder = trainer.experiment.evaluated, trainer.experiment.embedder
    kept, trained = average.backbone.parameters(), embedder.backbone.parameters()
    assert all(torch.equal(*pair) for pair in zip(kept, trained, strict=True))
    state = load_checkpoint(trainer.folder.last)
    head = {name for name in state["embedder"] if name.startswith("fc.")}
    assert any(not torch.equal(state["embedder"][n], state["trained_embedder"][n]) for n in head)
    assert results["last/recall@1"] > 0.5


class Uncopied(SmallConv):
    def __deepcopy__(self, memo: object) -> None:
        raise TypeError("this network holds a file")


def test_a_network_that_cannot_be_copied_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"^train\.ema: this network holds a file"):
        _average(0.9, Embedder(Uncopied(in_channels=1), 4))


@pytest.mark.parametrize("decay", ["0", "1", "-0.5", "true"])
def test_its_decay_is_between_0_and_1(decay: str) -> None:
    with pytest.raises(ValueError, match=r"^override: train\.ema: expected a number > 0 and < 1"):
        load_config("digits", [f"train.ema={decay}"])
