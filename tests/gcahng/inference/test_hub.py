"""Models on the Hugging Face Hub, whose library is replaced: this needs no connection."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import HfApi

from gcahng import load_embedder
from gcahng.inference.embedder import names_repository

NAME = "someone/digits"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the Hub; the working folder is empty."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    folder = tmp_path / "hub"

    def download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        if revision is not None or not (folder / name).is_dir():
            raise OSError("404 Client Error.\n\nRepository Not Found for url: …")
        # Neither pickles nor anything else that the model does not need.
        assert allow_patterns == ["config.json", "model.safetensors"]
        return str(folder / name)

    def upload_folder(self: HfApi, *, repo_id: str, folder_path: str, commit_message: str) -> None:
        shutil.copytree(folder_path, folder / repo_id)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    monkeypatch.setattr(HfApi, "create_repo", lambda self, *_, **__: None)
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    return folder


def test_push_and_load(hub: Path, digits_run: Path) -> None:
    model = load_embedder(digits_run)
    assert model.push_to_hub(NAME, license="mit").endswith("/someone/digits")
    card = (hub / NAME / "README.md").read_text()
    assert 'gcahng.load_embedder("someone/digits")' in card
    again = load_embedder(NAME)
    assert repr(again) == "TrainedEmbedder('someone/digits', dim=8, device='cpu')"
    images = torch.rand(4, 1, 8, 8)
    assert torch.equal(again.embed(images), model.embed(images))


@pytest.mark.parametrize(("name", "revision"), [("someone/nothing", None), (NAME, "v2")])
def test_what_the_hub_does_not_have(
    name: str, revision: str | None, hub: Path, digits_run: Path
) -> None:
    load_embedder(digits_run).push_to_hub(NAME)
    with pytest.raises(FileNotFoundError, match=f"'{name}' is neither .* here, nor") as info:
        load_embedder(name, revision=revision)
    assert "\n" not in str(info.value)
    assert revision is None or f"at revision '{revision}'" in str(info.value)


def test_folders_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert names_repository("runs/photos")
    Path("runs").mkdir()
    assert not names_repository("runs/photos"), "a mistyped run"
    with pytest.raises(FileNotFoundError, match="photos"):
        load_embedder("runs/photos")


def test_push_that_fails(hub: Path, digits_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: HfApi, *_: Any, **__: Any) -> None:
        raise OSError("401 Client Error\nInvalid username or password.")

    monkeypatch.setattr(HfApi, "create_repo", refuse)
    with pytest.raises(ConnectionError) as info:
        load_embedder(digits_run).push_to_hub(NAME)
    assert str(info.value).startswith("'someone/digits' cannot be uploaded: 401 Client Error;")
    assert "\n" not in str(info.value)
