"""Losses of pytorch-metric-learning by name, in a training of ours."""

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gcahng.builders.networks import build_loss
from gcahng.config import load_config
from gcahng.losses import LOSSES, _theirs
from tests.gcahng.training.test_trainer import _trainer


@pytest.mark.parametrize("generator", ["generator=null", "generator.args.graph.layers=1"])
def test_they_train_with_and_without_negatives(tmp_path: Path, generator: str) -> None:
    overrides = ["loss.name=triplet", "loss.args.margin=0.2", generator, "train.epochs=1"]
    row = _trainer(tmp_path, *overrides).train_epoch()
    assert row["loss/metric"] > 0
    assert ("loss/synthetic" in row) == (generator != "generator=null")


def test_their_parameters_have_a_group_and_the_sizes_are_filled_in(tmp_path: Path) -> None:
    overrides = ["loss.name=NormalizedSoftmaxLoss", "loss.lr=0.05", "train.epochs=1"]
    trainer = _trainer(tmp_path, *overrides)
    (weight,) = trainer.experiment.loss.parameters()
    assert set(weight.shape) == {5, 8}
    group = trainer.experiment.optimizers.embedder.param_groups[-1]
    assert group["lr"] == 0.05
    assert group["params"][0] is weight
    before = weight.detach().clone()
    trainer.train_epoch()
    assert not torch.equal(before, weight)


@pytest.mark.parametrize("name", ["triplet", "ArcFaceLoss"])
def test_text_for_a_number_without_annotation_is_refused(name: str) -> None:
    config = load_config("digits", [f"loss.name={name}", "loss.args.margin=x"])
    with pytest.raises(ValueError, match=r"^loss\.args\.margin: expected a number, got 'x'"):
        build_loss(config, num_classes=4)


# Required arguments without a sensible default here.
NEEDED = {"RankedListLoss": {"margin": 0.4, "Tn": 1.0}}


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.parametrize("name", sorted(_theirs()))
def test_every_loss_that_is_offered_can_be_trained_with(name: str) -> None:
    settings = {"name": name, "args": NEEDED.get(name, {})}
    config = load_config("digits", [f"loss={json.dumps(settings)}", "embedder.dim=8"])
    loss = build_loss(config, num_classes=4)
    embeddings = torch.randn(12, 8, generator=torch.manual_seed(0), requires_grad=True)
    value = loss(embeddings, torch.arange(4).repeat(3))
    assert value.ndim == 0
    value.backward()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


@pytest.mark.parametrize("name", ["CrossBatchMemory", "WeightRegularizerMixin", "VICRegLoss"])
def test_wrappers_and_mixins_are_not_offered(name: str) -> None:
    said = rf"unknown metric loss '{name}'(?! \(did you mean '{name})"
    with pytest.raises(ValueError, match=said):
        LOSSES.find(name)


def test_unknown_names_and_arguments() -> None:
    with pytest.raises(ValueError, match=r"'TripletMarginLos' \(did you mean 'TripletMarginLoss"):
        LOSSES.find("TripletMarginLos")
    with pytest.raises(ValueError, match="takes no 'margn'"):
        LOSSES.build("triplet", margn=1)


def test_without_the_library_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.startswith("pytorch_metric_learning"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install pytorch-metric-learning"):
        LOSSES.find("CircleLoss")
    assert LOSSES.find("npair") is LOSSES["npair"]
