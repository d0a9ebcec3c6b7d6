"""Backbones and data sets from a user's own file."""

import sys
from pathlib import Path

import pytest

from gcahng import load_run
from gcahng.builders.images import build_splits
from gcahng.builders.networks import build_embedder
from gcahng.config import load_config
from gcahng.data import verify
from gcahng.inference.embed_data import embed_data
from gcahng.inference.embedder import TrainedEmbedder
from tests.conftest import Call
from tests.gcahng.training.test_trainer import _trainer

SOURCE = """
import torch
from torch import nn

from gcahng.data import ImageDataset


class Patches(nn.Module):
    def __init__(self, channels=8, pretrained=True):
        super().__init__()
        self.convolution = nn.Conv2d(1, channels, 4, 4)
        self.out_channels = channels
        self.pretrained = pretrained

    def forward(self, images):
        return self.convolution(images).flatten(2).amax(2)


class Squares(ImageDataset):
    def __init__(self, root, split="train", transform=None, side=8):
        super().__init__(root, split, transform)
        self.side = side
        self.classes = [f"{split} {number}" for number in range(12)]
        self.labels = torch.arange(12).repeat_interleave(4)

    def load(self, index):
        return torch.full((1, self.side, self.side), 20 * int(self.labels[index]) + 3).byte()


class Unfinished(ImageDataset):
    pass


class Unlabelled(Squares):
    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.labels = self.labels.tolist()


class Rootless(Squares):
    def __init__(self, split="train"):
        super().__init__(None, split)


class Widthless(Patches):
    def __init__(self):
        super().__init__()
        del self.out_channels


class Wide(Patches):
    def __init__(self):
        super().__init__()
        self.out_channels = 9


class Plain:
    pass
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"own_images_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    return name


def test_they_train_and_are_opened_again(module: str, tmp_path: Path) -> None:
    overrides = [f"data.name={module}:Squares", "data.args.side=8", "data.transform.name=digits"]
    overrides += [f"embedder.backbone.name={module}:Patches", "embedder.backbone.args.channels=16"]
    trainer = _trainer(tmp_path / "run", *overrides, "train.epochs=1", "embedder.freeze=[]")
    trainer.fit()
    assert trainer.experiment.embedder.backbone.out_channels == 16
    assert trainer.experiment.splits.test.classes[0] == "test 0"
    with pytest.raises(ValueError, match=f"asks to import '{module}:Patches'"):
        load_run(tmp_path / "run")
    run = load_run(tmp_path / "run", trust=True)
    assert not run.embedder.backbone.pretrained, "weights of the run replace them"
    assert embed_data(TrainedEmbedder(run)).embeddings.shape == (48, 8)


@pytest.mark.slow
def test_the_commands_know_them(module: str, call: Call) -> None:
    name = f"{module}:Squares"
    assert "No problems found." in call("data", "verify", name, "side=6").out
    settings = [f"data.name={name}", "data.transform.name=digits", "train.epochs=1"]
    assert call("train", "digits", *settings, "--run", "run").status == 0
    assert "allow it with --trust" in call("evaluate", "run").err
    assert "test split of Squares" in call("evaluate", "run", "--trust").out


def test_photos_of_ones_own_get_the_transform_of_photos(module: str) -> None:
    config = load_config("photos", [f"data.name={module}:Squares", "data.transform.test.size=16"])
    assert build_splits(config).test[0][0].shape == (3, 16, 16)


DATA_SETS = [
    ("Unfinished", "data set '.*:Unfinished' is unfinished: its class must define load"),
    ("Unlabelled", r"Expected data set '.*:Unlabelled' to set 'labels', .* in 0\.\.11 .*image\."),
    ("Rootless", "data set '.*:Rootless' takes no 'root'.*; it takes split"),
    ("Plain", "Expected data set '.*' to be a gcahng.data.datasets.base.ImageDataset class"),
    ("Nowhere", "data set '.*:Nowhere': .* has no class 'Nowhere'"),
]


@pytest.mark.parametrize(("name", "sentence"), DATA_SETS)
def test_mistakes_in_data_sets(module: str, name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        verify(f"{module}:{name}", None)
    with pytest.raises(ValueError, match=f"^data(.name)?: .*{sentence}"):
        build_splits(load_config("digits", [f"data.name={module}:{name}"]))


BACKBONES = [
    ("Widthless", "args: Expected backbone '.*' with an integer attribute 'out_channels', the wi"),
    ("Plain", "name: Expected backbone '.*:Plain' to be a torch.nn.Module class"),
    ("Nowhere", "name: backbone '.*:Nowhere': .* has no class 'Nowhere'"),
]


@pytest.mark.parametrize(("name", "sentence"), BACKBONES)
def test_mistakes_in_backbones(module: str, name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=rf"^embedder\.backbone\.{sentence}"):
        build_embedder(load_config("digits", [f"embedder.backbone.name={module}:{name}"]))


def test_features_of_another_width_are_found_before_the_training(
    module: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"^embedder\.backbone: '.*:Wide' cannot embed images"):
        _trainer(tmp_path / "run", f"embedder.backbone.name={module}:Wide", "embedder.freeze=[]")
