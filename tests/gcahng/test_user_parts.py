"""Mistakes in generators and metric losses of users; the guide has some that train."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from gcahng.builders.networks import build_generator, build_loss
from gcahng.builders.settings import check_component_names
from gcahng.config import load_config
from gcahng.losses import ProxyAnchorLoss
from tests.gcahng.training.test_trainer import _trainer

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


class Flat(NegativeGenerator):
    def make_negatives(self, slots, layout, draws):
        return Synthetic(slots)


class Single(nn.Module):
    def forward(self, embeddings):
        return embeddings.sum()


class Vector(nn.Module):
    def forward(self, embeddings, labels):
        return embeddings.sum(1)


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


MISTAKES = [
    ("Halfway", {"parts": 0.5}, "takes no 'parts' .did you mean 'part'?"),
    ("Unfinished", {}, "unfinished: its class must define make_negatives"),
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


WRONG = [
    ("generator.name", "Flat", r"Flat to make negatives of shape \[3, 5, 5, 8\].*got \[3, 5, 8\]"),
    ("loss.name", "Single", r"with forward\(embeddings, labels\) \(got forward\(embeddings\)"),
    ("loss.name", "Vector", r"the metric loss as a scalar \(got \[15\]\)"),
]


@pytest.mark.parametrize(("key", "name", "sentence"), WRONG)
def test_what_does_not_keep_the_contract_says_so(
    module: str, tmp_path: Path, key: str, name: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        _trainer(tmp_path / "run", f"{key}={module}:{name}").fit()


def test_a_class_of_the_running_script(monkeypatch: pytest.MonkeyPatch) -> None:
    script = ModuleType("__main__")
    script.Mine = type("Mine", (ProxyAnchorLoss,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", script)
    config = load_config("digits", ["loss.name=__main__:Mine"])
    check_component_names(config)
    assert isinstance(build_loss(config, 5), script.Mine)


def test_of_a_package_and_a_module_of_one_name_the_package_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "both_of_one_name").mkdir()
    (tmp_path / "both_of_one_name/__init__.py").write_text(SOURCE)
    (tmp_path / "both_of_one_name.py").touch()
    check_component_names(load_config("digits", ["generator.name=both_of_one_name:Halfway"]))
