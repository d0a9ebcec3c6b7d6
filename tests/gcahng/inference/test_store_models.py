"""A store knows the model that made its vectors."""

import shutil
from pathlib import Path

import pytest

from gcahng.inference.embedder import TrainedEmbedder, load_embedder, load_store_model
from gcahng.inference.indexing import index_folder
from gcahng.inference.store import PictureStore
from gcahng.runs.checkpoint import load_checkpoint, save_checkpoint
from gcahng.runs.folder import RunFolder
from tests.gcahng.inference.conftest import draw, write_model
from tests.gcahng.inference.test_indexing import index


def test_another_model_is_refused(
    model: TrainedEmbedder, other_model_folder: Path, photos: Path, tmp_path: Path
) -> None:
    other, store = load_embedder(other_model_folder), tmp_path / "store"
    index(model, photos, store)
    sentence = "embeddings of different models cannot be compared"
    with pytest.raises(ValueError, match=sentence):
        index_folder(other, photos, store)
    with pytest.raises(ValueError, match=sentence):
        other.search(store, photos / "cup" / "0.png")
    with pytest.raises(ValueError, match=sentence):
        load_store_model(PictureStore(store), other_model_folder)


def test_the_model_is_found_from_anywhere_and_where_it_moved(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "model", 2)
    monkeypatch.chdir(tmp_path)
    store, _ = index(load_embedder("model"), photos, tmp_path / "store")
    monkeypatch.chdir("/")
    assert load_store_model(store).dim == 16
    (tmp_path / "model").rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError, match=r"is not there any more.*where it is with --model"):
        load_store_model(store)
    assert load_store_model(store, tmp_path / "moved").dim == 16
    write_model(tmp_path / "model", 3)
    with pytest.raises(ValueError, match="as it was then, and embeddings of different models"):
        load_store_model(store)


def test_the_last_epoch_of_a_run_is_found_again(digits_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(digits_run, tmp_path / "run"))
    folder = RunFolder(run)
    state = load_checkpoint(folder.best)
    state["embedder"]["fc.1.bias"] += 1
    save_checkpoint(folder.best, state)
    draw(tmp_path / "photos" / "cup" / "0.png", "red", 0)
    store, _ = index(load_embedder(run, last=True), tmp_path / "photos", tmp_path / "store")
    assert load_store_model(store).fingerprint == load_embedder(run, last=True).fingerprint
    assert load_store_model(store).fingerprint != load_embedder(run).fingerprint


def test_a_store_that_another_model_has_made_again_is_refused(
    model: TrainedEmbedder, other_model_folder: Path, photos: Path, tmp_path: Path
) -> None:
    store, _ = index(model, photos, tmp_path / "store")
    shutil.rmtree(tmp_path / "store")
    index(load_embedder(other_model_folder), photos, tmp_path / "store")
    with pytest.raises(ValueError, match="embeddings of different models cannot be compared"):
        store.refresh()
