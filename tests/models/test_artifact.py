"""A shared model is read whole, or one sentence says what cannot be used."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from gcahng import load_run
from gcahng.models.artifact import (
    Artifact,
    EmbedderSpec,
    read_artifact,
    without_folders,
    write_artifact,
)
from gcahng.preparation import PHOTO

ARGS = {"in_channels": 3, "channels": [8, 16], "strides": [2, 2]}
SPEC = EmbedderSpec("shop", "small_conv", ARGS, "linear", 4, True, PHOTO)


@pytest.fixture
def model(digits_run: Path, tmp_path: Path) -> Path:
    """The weights of a shared model, to change."""
    for name in ("model.safetensors", "config.json"):
        shutil.copy(digits_run / name, tmp_path)
    return tmp_path / "model.safetensors"


def change(model: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change the settings beside a model."""
    settings = json.loads(model.with_name("config.json").read_text())
    edit(settings)
    model.with_name("config.json").write_text(json.dumps(settings))


def written(folder: Path, network: nn.Module, *facts: Any) -> Artifact:
    write_artifact(folder, network, SPEC, *facts)
    return read_artifact(folder / "model.safetensors")


def test_write_and_read(tmp_path: Path) -> None:
    network = SPEC.build()
    found = written(tmp_path, network, {"name": "shop"}, {"metrics": {"map@r": 0.5}})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    assert found.spec == SPEC
    assert (found.experiment, found.figures) == ({"name": "shop"}, {"metrics": {"map@r": 0.5}})
    images = torch.rand(2, 3, 30, 30)
    again = found.spec.load(found.weights, tmp_path)
    assert torch.equal(again(images), network(images))


def test_tied_and_transposed_weights(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    network[0].bias.data = torch.arange(6.0)[::2]
    weights = written(tmp_path, network).weights
    assert torch.equal(weights["0.weight"], weights["1.weight"])
    assert weights["0.bias"].tolist() == [0, 2, 4]


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_missing_file(model: Path, missing: str) -> None:
    model.with_name(missing).unlink()
    with pytest.raises(FileNotFoundError, match=rf"no shared model at .*{missing}' is missing"):
        load_run(model)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b'{"model_type": "vit"}'])
def test_settings_that_are_damaged_or_of_another_library(model: Path, content: bytes) -> None:
    problem = "not of a model that this version" if len(content) > 1 else "damaged: it is not JSON"
    model.with_name("config.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"config\.json' is {problem}"):
        load_run(model)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"backbone": "timm/resnet18", "args": {"checkpoint_path": "evil.pth"}}, "checkpoint_pa"),
        ({"backbone": "nothing"}, "unknown backbone 'nothing'"),
        ({"args": {"colours": 3}}, "takes no 'colours'"),
        ({"dim": "many"}, "'embedding_dim' as an integer"),
        ({"dim": 16}, "does not fit the embedder of its configuration"),
    ],
)
def test_settings_of_an_embedder_that_is_not_there(
    model: Path, values: dict[str, Any], words: str
) -> None:
    change(model, lambda facts: facts["model"].update(values))
    with pytest.raises(ValueError, match=words) as info:
        load_run(model)
    assert str(model) in str(info.value)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"fc.1.weight": torch.zeros(16, 64)}, r"'fc\.1\.weight' has shape \(16, 64\), "),
        ({"fc.2.weight": torch.zeros(1)}, r"which has no 'fc\.2\.weight'"),
        ({"fc.1.weight": None}, r"'fc\.1\.weight' missing of 25 keys"),
    ],
)
def test_weights_of_another_network(model: Path, changed: dict[str, Any], words: str) -> None:
    weights = {**load_file(model), **changed}
    save_file({name: value for name, value in weights.items() if value is not None}, model)
    with pytest.raises(ValueError, match=words) as info:
        load_run(model)
    assert "the embedder of its configuration" in str(info.value)


@pytest.mark.parametrize(
    ("path", "public"),
    [
        ("/home/me/list.csv", "list.csv"),
        ("~/list.csv", "list.csv"),
        ("../me/list.csv", "list.csv"),
        (r"C:\Users\me\list.csv", "list.csv"),
        (r"\\server\me\list.csv", "list.csv"),
        ("lists/list.csv", "lists/list.csv"),
    ],
)
def test_folders_are_left_out(path: str, public: str) -> None:
    assert without_folders({"args": [path, 3]}) == {"args": [public, 3]}
