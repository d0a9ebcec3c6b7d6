"""Models on the Hugging Face Hub, played by a server on this machine."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import HfApi, constants

from gcahng import load_embedder
from gcahng.inference.embedder import names_repository
from gcahng.inference.hub import download_model
from tests.gcahng.inference.hub_server import Hub, commit_of, serve

NAME = "someone/digits"
# Nothing answers at this address.
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub on this machine with an empty cache; the working folder is empty too."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    hub = Hub(tmp_path / "hub")
    server = serve(hub)
    move_hub(monkeypatch, hub.address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    yield hub
    server.shutdown()
    server.server_close()


def move_hub(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Let `huggingface_hub` look for the Hub elsewhere."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def shared(hub: Hub, digits_run: Path) -> Path:
    """The folder of the repository `someone/digits`, which holds a shared model."""
    folder = hub.root / NAME
    load_embedder(digits_run).save_pretrained(folder)
    return folder


@pytest.fixture
def uploads(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Uploads to the Hub go into its folder; the arguments of `create_repo` so far."""
    created: list[dict[str, Any]] = []

    def create_repo(self: HfApi, repo_id: str, **options: Any) -> None:
        created.append({"repo_id": repo_id, **options})

    def upload_folder(self: HfApi, *, repo_id: str, folder_path: Path, commit_message: str) -> None:
        assert commit_message == "Upload gcahng model"
        shutil.copytree(folder_path, hub.root / repo_id, dirs_exist_ok=True)

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    return created


def same(first: Any, second: Any) -> bool:
    images = torch.rand(4, 1, 8, 8)
    return torch.equal(first.embed(images), second.embed(images))


def test_load_from_the_hub(shared: Path, hub: Hub, digits_run: Path) -> None:
    (shared / "pytorch_model.bin").write_bytes(b"a pickle")
    model = load_embedder(NAME)
    assert repr(model) == "TrainedEmbedder('someone/digits', dim=8, device='cpu')"
    assert same(model, load_embedder(digits_run))
    # Neither pickles nor anything else that the model does not need.
    assert set(hub.asked) == {"config.json", "model.safetensors"}


def test_all_files_are_of_one_commit(shared: Path, hub: Hub) -> None:
    before = download_model(NAME)
    settings = json.loads((shared / "config.json").read_text())
    (shared / "config.json").write_text(json.dumps(settings | {"figures": None}))
    after = download_model(NAME)
    assert after.name == commit_of(shared) != before.name
    assert load_embedder(after).run.figures is None
    assert load_embedder(before).run.figures is not None


@pytest.mark.parametrize(
    ("name", "revision", "missing", "sentence"),
    [
        ("someone/nothing", None, None, "nor a repository of the Hugging Face Hub that you may"),
        (NAME, "v2", None, "on the Hub has no revision 'v2'"),
        (NAME, None, "config.json", "is not a model of gcahng: it needs config.json and model."),
        (NAME, None, "model.safetensors", "is not a model of gcahng: it needs config.json and "),
    ],
)
def test_what_the_hub_does_not_have(
    name: str, revision: str | None, missing: str | None, sentence: str, shared: Path
) -> None:
    assert load_embedder(NAME, revision=commit_of(shared)).dim == 8
    if missing is not None:
        (shared / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f"'{name}' .*{sentence}"):
        load_embedder(name, revision=revision)


@pytest.mark.parametrize("way", ["offline", "refused", "broken"])
def test_without_connection(
    shared: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    model = load_embedder(NAME)
    if way == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    elif way == "refused":
        move_hub(monkeypatch, NOBODY)
    else:
        hub.broken = True
    start = time.perf_counter()
    assert same(load_embedder(NAME), model), "the cache has it"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(ConnectionError, match=f"'{NAME}' is neither .* here, nor in the cache"):
        load_embedder(NAME)
    # Without trying again and again.
    assert time.perf_counter() - start < 5


def test_folders_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert names_repository("runs/photos")
    Path("runs").mkdir()
    assert not names_repository("runs/photos"), "a mistyped run"
    with pytest.raises(FileNotFoundError, match="photos"):
        load_embedder("runs/photos")


def test_push(uploads: list[dict[str, Any]], digits_run: Path, hub: Hub) -> None:
    model = load_embedder(digits_run)
    assert model.push_to_hub(NAME, private=True) == f"{hub.address}/someone/digits"
    assert uploads == [{"repo_id": NAME, "private": True, "exist_ok": True}]
    assert same(load_embedder(NAME), model)
    card = (hub.root / NAME / "README.md").read_text()
    assert 'gcahng.load_embedder("someone/digits")' in card


def test_push_again_keeps_the_license(
    uploads: list[dict[str, Any]], digits_run: Path, hub: Hub
) -> None:
    model = load_embedder(digits_run)
    model.push_to_hub(NAME, license="cc-by-4.0")
    model.push_to_hub(NAME)
    assert "\nlicense: cc-by-4.0\n" in (hub.root / NAME / "README.md").read_text()


def test_push_what_was_loaded_from_the_hub(
    uploads: list[dict[str, Any]], shared: Path, hub: Hub
) -> None:
    load_embedder(NAME).push_to_hub("other/copy")
    for name in ("README.md", "config.json"):
        copy = (hub.root / "other" / "copy" / name).read_text()
        expected = (shared / name).read_text()
        assert copy == expected.replace('embedder("digits")', 'embedder("other/copy")')


@pytest.mark.parametrize("way", ["refused", "not logged in"])
def test_push_that_fails(
    digits_run: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "refused":
        move_hub(monkeypatch, NOBODY)
    model = load_embedder(digits_run)
    with pytest.raises(ConnectionError) as info:
        model.push_to_hub(NAME)
    assert str(info.value).startswith("'someone/digits' cannot be uploaded: ")
    assert ("refused" if way == "refused" else "401") in str(info.value)
    assert "\n" not in str(info.value)
