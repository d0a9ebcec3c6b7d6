"""Losses of pytorch-metric-learning by name, in a training of ours."""

import builtins
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_metric_learning import losses

from gcahng.losses import LOSSES, NPairLoss
from tests.gcahng.training.test_trainer import _trainer


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("npair", NPairLoss),
        ("contrastive", losses.ContrastiveLoss),
        ("triplet", losses.TripletMarginLoss),
        ("multi_similarity", losses.MultiSimilarityLoss),
        ("CircleLoss", losses.CircleLoss),
    ],
)
def test_names(name: str, kind: type) -> None:
    assert LOSSES.find(name) is kind


@pytest.mark.parametrize(
    "overrides",
    [
        ["loss.name=contrastive", "loss.args={pos_margin: 0.1, neg_margin: 0.9}"],
        ["loss.name=triplet", "loss.args.margin=0.2"],
        ["loss.name=multi_similarity"],
        ["loss.name=SupConLoss"],
    ],
)
@pytest.mark.parametrize("generator", ["generator=null", "generator.graph.layers=1"])
def test_they_train_with_and_without_negatives(
    tmp_path: Path, overrides: list[str], generator: str
) -> None:
    trainer = _trainer(tmp_path, *overrides, generator, "train.epochs=1")
    row = trainer.train_epoch()
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


def test_unknown_names_and_arguments(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"unknown metric loss 'TripletMarginLos' \(did you mean 'T"
    ):
        LOSSES.find("TripletMarginLos")
    with pytest.raises(ValueError, match=r"loss\.args: .*unexpected keyword argument 'margn'"):
        _trainer(tmp_path, "loss.name=triplet", "loss.args.margn=1")


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
