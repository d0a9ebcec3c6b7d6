"""A model with random weights and pictures in class folders, both small."""

import random
import shutil
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image, ImageDraw

from gcahng.builders.networks import build_embedder
from gcahng.config import load_config
from gcahng.inference.embedder import TrainedEmbedder, load_embedder
from gcahng.runs.embedding import write_shared_model
from tests.conftest import MakeOnce

SETTINGS = [
    "embedder.backbone.name=small_conv",
    "embedder.backbone.args={in_channels: 3, channels: [8, 16], strides: [2, 2]}",
    "embedder.freeze=[]",
    "embedder.dim=16",
    "generator=null",
    "data.transform.test.size=24",
    "data.transform.train.size=24",
    "fabric.accelerator=cpu",
]
# A small network of timm for pictures of 160 px, and without any download.
TINY = "timm/test_vit"
CLASSES = {"bowl": "red", "cup": "green", "lamp": "blue"}
EACH = 6


def write_model(folder: Path, seed: int, *settings: str) -> None:
    """Write a model with random weights, as a run leaves one to share."""
    config = load_config("photos", [*SETTINGS, *settings])
    torch.manual_seed(seed)
    write_shared_model(folder, build_embedder(config, pretrained=False), config)


def draw(path: Path, colour: str, seed: int) -> None:
    """Draw a picture of a disc."""
    chance = random.Random(f"{colour} {seed}")
    image = Image.new("RGB", (chance.randint(30, 60), chance.randint(30, 60)), "white")
    corner = chance.randint(2, 10)
    ImageDraw.Draw(image).ellipse((corner, corner, corner + 18, corner + 18), fill=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture(scope="session")
def model_folder(make_once: MakeOnce) -> Path:
    return make_once("shop-model", lambda folder: write_model(folder, 0))


@pytest.fixture(scope="session")
def other_model_folder(make_once: MakeOnce) -> Path:
    return make_once("other-shop-model", lambda folder: write_model(folder, 1))


@pytest.fixture(scope="session")
def model(model_folder: Path) -> TrainedEmbedder:
    return load_embedder(model_folder)


@pytest.fixture(scope="session")
def tiny_weights(make_once: MakeOnce) -> Path:
    """Random weights of `TINY`, with a classification head, as its library writes them."""

    def make(folder: Path) -> None:
        folder.mkdir()
        torch.manual_seed(0)
        network = timm.create_model(TINY.removeprefix("timm/"))
        torch.save(network.state_dict(), folder / "tiny.pth")

    return make_once("tiny-weights", make) / "tiny.pth"


@pytest.fixture(scope="session")
def _photos(make_once: MakeOnce) -> Path:
    def make(folder: Path) -> None:
        for label, colour in CLASSES.items():
            for number in range(EACH):
                draw(folder / label / f"{number}.png", colour, number)

    return make_once("shop-photos", make)


@pytest.fixture
def photos(_photos: Path, tmp_path: Path) -> Path:
    """Pictures in three class folders, for one test to change."""
    return Path(shutil.copytree(_photos, tmp_path / "photos"))


@pytest.fixture
def counted(model: TrainedEmbedder, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images the model embeds at a time."""
    embedded: list[int] = []
    original = model.embed_each

    def count(inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        embedded.append(len(inputs))
        return original(inputs)

    monkeypatch.setattr(model, "embed_each", count)
    return embedded
