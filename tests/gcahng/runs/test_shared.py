"""A shared model is read whole, or one sentence says what cannot be used."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from gcahng import load_run
from gcahng.config import load_config
from gcahng.runs.folder import library_version
from gcahng.runs.shared import read_shared_model, write_shared_model


@pytest.fixture
def model(digits_run: Path, tmp_path: Path) -> Path:
    """The weights of a shared model, to change."""
    for name in ("model.safetensors", "config.json"):
        shutil.copy(digits_run / name, tmp_path)
    return tmp_path / "model.safetensors"


def change_settings(model: Path, **values: Any) -> None:
    settings = json.loads(model.with_name("config.json").read_text())
    model.with_name("config.json").write_text(json.dumps({**settings, **values}))


def written_by(model: Path, version: str) -> None:
    save_file(load_file(model), model, metadata={"gcahng": version})


def test_write_and_read(tmp_path: Path) -> None:
    network = nn.Linear(3, 2)
    config = load_config("digits", ["seed=4"])
    write_shared_model(tmp_path, network, config)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    found, weights = read_shared_model(tmp_path / "model.safetensors")
    assert found == config
    assert torch.equal(weights["weight"], network.weight)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"gcahng": library_version("gcahng"), "format": "pt"}


def test_tied_and_transposed_weights(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    network[0].bias.data = torch.arange(6.0)[::2]
    write_shared_model(tmp_path, network, load_config("digits"))
    _, weights = read_shared_model(tmp_path / "model.safetensors")
    assert torch.equal(weights["0.weight"], weights["1.weight"])
    assert weights["0.bias"].tolist() == [0, 2, 4]


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_missing_file(model: Path, missing: str) -> None:
    file = model.with_name(missing)
    file.unlink()
    with pytest.raises(FileNotFoundError) as info:
        load_run(model)
    assert str(info.value) == f"no shared model at '{model}': '{file}' is missing"


@pytest.mark.parametrize("content", ["{", "\xff", ""])
def test_damaged_settings(model: Path, content: str) -> None:
    model.with_name("config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"config\.json' is damaged: it is not JSON"):
        load_run(model)


@pytest.mark.parametrize("settings", [[], {"model_type": "vit"}, {"data": {}}])
def test_settings_of_another_library(model: Path, settings: Any) -> None:
    model.with_name("config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="is not the configuration of a gcahng model") as info:
        load_run(model)
    assert str(info.value).endswith("(no 'embedder' and 'data' in it)")


def test_newer_settings(model: Path) -> None:
    change_settings(model, colours=3)
    written_by(model, "99.1.0")
    with pytest.raises(ValueError, match="unknown key 'colours'") as info:
        load_run(model)
    assert str(info.value).endswith(
        f"\nThe model was written by gcahng 99.1.0, and this is {library_version('gcahng')}: "
        "install that version or a later one"
    )


@pytest.mark.parametrize("version", ["0.0.1", "dev", ""])
def test_unknown_settings_of_this_version(model: Path, version: str) -> None:
    change_settings(model, colours=3)
    written_by(model, version)
    with pytest.raises(ValueError, match="unknown key 'colours'") as info:
        load_run(model)
    assert "install" not in str(info.value)


def test_newer_model_without_new_settings(model: Path) -> None:
    written_by(model, "99.1.0")
    assert load_run(model).embedder.embedding_dim == 8


def test_model_of_an_earlier_version(model: Path) -> None:
    save_file(load_file(model), model)
    assert load_run(model).embedder.embedding_dim == 8


def test_damaged_weights(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        load_run(model)


FITS = "'{model}' does not fit the embedder of its configuration"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fc.1.weight": torch.zeros(16, 64)}, f"{FITS}: 'fc.1.weight' has shape (16, 64), "),
        ({"fc.2.weight": torch.zeros(1)}, f"{FITS}, which has no 'fc.2.weight'"),
        (
            {"fc.1.weight": None},
            "'{model}' does not hold the weights of the embedder of its configuration: "
            "'fc.1.weight' missing of 25 keys",
        ),
    ],
)
def test_weights_of_another_network(model: Path, change: dict[str, Any], sentence: str) -> None:
    weights = {**load_file(model), **change}
    save_file({name: value for name, value in weights.items() if value is not None}, model)
    with pytest.raises(ValueError, match="the embedder of its configuration") as info:
        load_run(model)
    assert str(info.value).startswith(sentence.format(model=model))
    assert "\n" not in str(info.value)
