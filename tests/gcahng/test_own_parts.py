"""Generators and metric losses from a user's own file."""

import sys
from pathlib import Path

import pytest

from gcahng.build import build_generator, build_loss
from gcahng.config import load_config
from tests.gcahng.test_trainer import _trainer

SOURCE = """
import torch
from torch import nn

from gcahng.generators import NegativeGenerator
from gcahng.generators.base import Synthetic
from gcahng.losses import ProxyAnchorLoss


class Halfway(NegativeGenerator):
    def __init__(self, *args, part=0.5, **settings):
        super().__init__(*args, **settings)
        self.part = part

    def make_negatives(self, slots, layout, draws):
        return Synthetic(torch.lerp(slots.unsqueeze(2), slots.unsqueeze(1), self.part))


class Unfinished(NegativeGenerator):
    pass


class Steeper(ProxyAnchorLoss):
    pass
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"own_parts_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    return name


def test_they_train(module: str, tmp_path: Path) -> None:
    overrides = [f"generator.name={module}:Halfway", "generator.args.part=0.25"]
    overrides += [f"loss.name={module}:Steeper", "loss.args.alpha=4.0", "train.epochs=1"]
    trainer = _trainer(tmp_path / "run", *overrides)
    assert trainer.generator.part == 0.25
    assert trainer.loss.proxies.shape == (5, 8)
    results = trainer.fit()
    assert results["last/recall@1"] > 0
    assert "loss/synthetic" in trainer.history[0]


MISTAKES = [
    ("Halfway", {"parts": 0.5}, "takes no 'parts' .did you mean 'part'?"),
    ("Unfinished", {}, "abstract"),
    ("Steeper", {}, "to be a gcahng.generators.base.NegativeGenerator class"),
    ("Nowhere", {}, "generator 'own_parts_.*:Nowhere': .* has no class 'Nowhere'"),
]


@pytest.mark.parametrize(("name", "args", "sentence"), MISTAKES)
def test_mistakes(module: str, name: str, args: dict[str, float], sentence: str) -> None:
    overrides = [f"generator.name={module}:{name}"]
    overrides += [f"generator.args.{key}={value}" for key, value in args.items()]
    with pytest.raises(ValueError, match=sentence):
        build_generator(load_config("digits", overrides), 5)


def test_no_such_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"loss.name: metric loss 'no_such:Loss': there is no"):
        build_loss(load_config("digits", ["loss.name=no_such:Loss"]), 5)
