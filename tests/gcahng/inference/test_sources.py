"""A backbone by its name is a model as any other."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config

from gcahng.builders.images import as_untrained
from gcahng.builders.networks import describe_embedder
from gcahng.config import dump_config, load_config
from gcahng.inference import embedder
from gcahng.inference.embed_data import embed_data
from gcahng.inference.embedder import (
    TrainedEmbedder,
    load_embedder,
    load_store_model,
    names_backbone,
)
from gcahng.inference.indexing import index_folder
from gcahng.inference.store import PictureStore
from gcahng.models import Embedder, SmallConv
from gcahng.runs.loading import LoadedRun
from tests.gcahng.inference.conftest import TINY, draw


@pytest.fixture(scope="module")
def backbone(tiny_weights: Path) -> TrainedEmbedder:
    return load_embedder(TINY, weights=tiny_weights, device="cpu")


@pytest.fixture
def index(
    photos: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> PictureStore:
    """A store of a backbone whose weights are in a file beside it."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_weights, "tiny.pth")
    store, _ = index_folder(load_embedder(TINY, weights="tiny.pth"), photos, tmp_path / "store")
    return store


def test_embeddings_are_the_features_of_the_library(
    backbone: TrainedEmbedder, tiny_weights: Path, photos: Path
) -> None:
    network = timm.create_model(TINY.removeprefix("timm/"), num_classes=0).eval()
    state = torch.load(tiny_weights, weights_only=True)
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    transform = create_transform(**resolve_data_config(model=network))
    files = sorted(photos.rglob("*.png"))
    inputs = torch.stack([transform(Image.open(file).convert("RGB")) for file in files])
    with torch.no_grad():
        expected = network(inputs)
    assert backbone.dim == expected.size(1)
    torch.testing.assert_close(backbone.embed(files), expected, rtol=1e-4, atol=1e-5)


def test_a_store_remembers_the_weights(
    index: PictureStore, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = index.model
    assert (model.source, model.weights) == (TINY, str(tmp_path / "tiny.pth"))
    monkeypatch.chdir("/")
    query = photos / "cup" / "0.png"
    assert load_store_model(index).search(index, query, k=1)[0].path == str(query)
    (tmp_path / "tiny.pth").rename(tmp_path / "moved.pth")
    with pytest.raises(FileNotFoundError, match=r"is not there any more.*with --weights"):
        load_store_model(index)
    moved = tmp_path / "moved.pth"
    assert load_store_model(index, weights=moved).fingerprint == model.fingerprint
    assert load_store_model(index, TINY, weights=moved).fingerprint == model.fingerprint


def test_other_weights_are_refused(index: PictureStore, photos: Path, tmp_path: Path) -> None:
    network = timm.create_model(TINY.removeprefix("timm/"))
    torch.save(network.state_dict(), tmp_path / "other.pth")
    other = load_embedder(TINY, weights=tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"with 'timm/.*weights '.*tiny\.pth', as it was then"):
        index_folder(other, photos, index.folder)


def test_a_shared_backbone_opens_by_itself(
    backbone: TrainedEmbedder, photos: Path, tmp_path: Path
) -> None:
    backbone.save_pretrained(tmp_path / "shared", license="mit")
    again = load_embedder(tmp_path / "shared", device="cpu")
    files = sorted(photos.rglob("*.png"))
    assert torch.equal(again.embed(files), backbone.embed(files))
    assert again.fingerprint == backbone.fingerprint
    card = (tmp_path / "shared" / "README.md").read_text(encoding="utf-8")
    assert "None beyond its backbone's own" in card
    with pytest.raises(ValueError, match=r"^--data: .* name the data set to judge it on"):
        embed_data(again)
    settings = json.loads((tmp_path / "shared" / "config.json").read_text())
    assert settings["experiment"] is None
    assert settings["model"]["head"] == "none"
    settings["model"]["preparation"]["mean"] = [0.0, 0.0, 0.0]
    (tmp_path / "shared" / "config.json").write_text(json.dumps(settings))
    otherwise = load_embedder(tmp_path / "shared")
    assert otherwise.fingerprint != backbone.fingerprint, "images are prepared in another way"


def test_the_untrained_network_gets_pictures_of_its_own_size(photos: Path) -> None:
    settings = ["data.transform.test={size: 32, resize: 32}", "embedder.backbone.name=resnet50"]
    config = load_config("photos", settings)
    network = Embedder(SmallConv(3, [8], [2]), config.embedder.dim)
    for number in range(2):
        draw(photos / "vase" / f"{number}.png", "black", number)
    run = LoadedRun(Path("run"), describe_embedder(config), network, dump_config(config))
    found = embed_data(TrainedEmbedder(run), "folder", photos)
    untrained = as_untrained(found.run.config, found.dataset)
    assert untrained is not None
    assert [len(images[0][0][0]) for images in (found.dataset, untrained)] == [32, 224]


def test_libraries_are_never_looked_up_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(embedder, "_download", lambda name, revision: asked.append(name))
    monkeypatch.chdir(tmp_path)
    for folder in ("there is none", "timm"):
        Path(folder).mkdir()
        with pytest.raises(FileNotFoundError, match=r"did you mean 'resnet18'"):
            load_embedder("timm/resnet19")
    assert asked == []
    # A run in a folder of this name is opened, even if it is called as a backbone.
    Path("timm/resnet18").mkdir()
    assert not names_backbone("timm/resnet18")


def test_code_is_not_imported_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_embedder("evil:Network", trust=True)
    assert "evil" not in sys.modules
