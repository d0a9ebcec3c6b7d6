import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from gcahng.inference.embed import embed_in_parts
from gcahng.inference.embed_data import embed_data
from gcahng.inference.embedder import TrainedEmbedder, load_embedder
from gcahng.pictures import PictureFile
from tests.data.trees import photo
from tests.gcahng.inference.conftest import write_model


def test_embeds_exactly_as_the_evaluation_does(digits_run: Path) -> None:
    model = load_embedder(digits_run)
    evaluated = embed_data(model)
    count = min(256, len(evaluated.dataset))  # the evaluation's batches
    images = [evaluated.dataset.load(i) for i in range(count)]
    found = model.embed(images, batch_size=256)
    assert found.dtype == torch.float32
    assert torch.equal(found, evaluated.embeddings[:count])


def test_embeds_files_exactly_as_the_evaluation_does(model_folder: Path, photos: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(photos / "cup", photos / name)
    for number, folder in enumerate(photos.iterdir()):
        photo(folder / "large.jpg", number, size=(1000, 800))
    model = load_embedder(model_folder)
    evaluated = embed_data(model, root=photos)
    paths = evaluated.dataset.paths  # type: ignore[attr-defined]
    assert any(path.endswith("large.jpg") for path in paths)
    assert torch.equal(model.embed(paths, batch_size=256), evaluated.embeddings)
    (files,) = embed_in_parts(model, [PictureFile(path) for path in paths], [])
    for picture, expected in zip(files, evaluated.embeddings, strict=True):
        assert picture.vector is not None
        torch.testing.assert_close(picture.vector, expected, rtol=1e-5, atol=1e-6)


def test_one_image_is_a_row(model: TrainedEmbedder, photos: Path) -> None:
    path = photos / "cup" / "0.png"
    one = model.embed(path)
    assert one.shape == (1, model.dim)
    with Image.open(path) as image:
        assert torch.equal(model.embed(image), one)
    assert torch.equal(model.embed([path, path]).unique(dim=0), model.embed([path, path])[:1])


def test_normalises_on_request(model: TrainedEmbedder, photos: Path) -> None:
    paths = sorted((photos / "cup").iterdir())
    plain, unit = model.embed(paths), model.embed(paths, normalize=True)
    assert (plain.norm(dim=1) - 1).abs().max() > 1e-3
    torch.testing.assert_close(unit, plain / plain.norm(dim=1, keepdim=True))


def test_images_of_several_sizes_without_a_crop(digits_run: Path) -> None:
    model = load_embedder(digits_run)
    images = [torch.rand(1, size, size) for size in (8, 8, 12, 8)]
    together = model.embed(images)
    each = torch.cat([model.embed(image) for image in images])
    torch.testing.assert_close(together, each)


def test_run_checkpoint_and_shared_model_are_one(digits_run: Path) -> None:
    checkpoint = digits_run / "checkpoints" / "best.pt"
    sources = (digits_run, checkpoint, digits_run / "model.safetensors")
    assert len({load_embedder(source).fingerprint for source in sources}) == 1
    assert load_embedder(digits_run, last=True).run.epoch == 3


STRIDES = "embedder.backbone.args={in_channels: 3, channels: [8, 16], strides: %s}"


def same_weights(one: TrainedEmbedder, other: TrainedEmbedder) -> bool:
    weights = other.network.state_dict()
    return all(torch.equal(value, weights[key]) for key, value in one.network.state_dict().items())


@pytest.mark.parametrize(
    ("setting", "differs"),
    [
        (STRIDES % "[1, 2]", True),
        ("data.transform.test.size=32", True),
        ("embedder.normalize=true", True),
        ("data.transform.test.mean=[0, 0, 0]", True),
        (STRIDES % "[2, 2]", False),
        ("loss.name=proxy_anchor", False),
    ],
)
def test_settings(model: TrainedEmbedder, tmp_path: Path, setting: str, differs: bool) -> None:
    write_model(tmp_path, 0, setting)
    other = load_embedder(tmp_path)
    assert same_weights(model, other)
    assert (other.fingerprint != model.fingerprint) is differs
