"""Which features are computed again, and which are read from files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gcahng.data import ClassSubset, Digits, Folder, ImageDataset, build_transform
from gcahng.jobs.process import Stopped
from gcahng.training import features
from gcahng.training.features import FeatureCache
from tests.data.trees import photo


class Mean(nn.Module):
    """A backbone that counts the images it is given."""

    out_channels = 3

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.images = 0

    def forward(self, images: Tensor) -> Tensor:
        self.images += len(images)
        return self.factor * images.mean(dim=(2, 3))


def photos(root: Path, *, size: int = 16, reduced_jpeg: bool = False) -> ImageDataset:
    if not root.exists():
        for number in range(12):
            photo(root / f"class {number % 4}" / f"{number}.jpg", number)
    transform = build_transform("imagenet", train=False, size=size, reduced_jpeg=reduced_jpeg)
    return Folder(root, "train", transform)


def computed(
    folder: Path, dataset: ImageDataset, backbone: Mean | None = None, settings: object = ()
) -> int:
    """How many images a new cache embeds, of two views and the images as they are."""
    backbone = backbone or Mean()
    found = FeatureCache(backbone, folder, settings).features(dataset, [None, 0, 1])
    assert [list(one.shape) for one in found] == [[len(dataset), 3]] * 3
    assert not any(one.is_inference() for one in found)
    return backbone.images


def test_computed_once(tmp_path: Path) -> None:
    dataset = photos(tmp_path / "photos")
    seen: list[tuple[int, int]] = []
    cache = FeatureCache(
        Mean(), tmp_path, progress=lambda *args: seen.append(args), images=2 * len(dataset)
    )
    plain, view = cache.features(dataset, [None, 0])
    assert seen[-1] == (2 * len(dataset), 2 * len(dataset))
    assert seen == sorted(seen)
    torch.testing.assert_close(plain[3], dataset[3][0].mean(dim=(1, 2)))
    again = FeatureCache(Mean(), tmp_path).features(dataset, [None, 0])
    assert all(torch.equal(a, b) for a, b in zip(again, (plain, view), strict=True))
    assert computed(tmp_path, dataset) == len(dataset), "the second view alone is missing"
    assert computed(tmp_path, dataset) == 0


def test_what_is_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = photos(tmp_path / "photos")
    (whole,) = FeatureCache(Mean(), tmp_path / "whole").features(dataset, [0])

    class Stopping(Mean):
        most = 4

        def forward(self, images: Tensor) -> Tensor:
            if self.images + len(images) > self.most:
                raise Stopped(75)
            return super().forward(images)

    monkeypatch.setattr(features, "PART", 2)
    with pytest.raises(Stopped):
        FeatureCache(Stopping(), tmp_path / "parts").features(dataset, [0])
    backbone = Stopping()
    (found,) = FeatureCache(backbone, tmp_path / "parts").features(dataset, [0])
    assert torch.equal(found, whole)
    assert backbone.images == len(dataset) - 4, "two parts of two images were kept"


def test_a_changed_picture_is_computed_again(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    path = Path(photos(root).paths[0])  # type: ignore[attr-defined]
    computed(tmp_path, photos(root))
    changes: list[Callable[[], object]] = [
        lambda: photo(path, 99),
        lambda: os.utime(path, (1, 1)),
        lambda: path.rename(path.with_name("z.jpg")),
        lambda: path.with_name("z.jpg").unlink(),
    ]
    for change in changes:
        change()
        dataset = photos(root)
        assert computed(tmp_path, dataset) == 3 * len(dataset)
        assert computed(tmp_path, dataset) == 0


def test_another_folder_with_the_same_names_sizes_and_times_is_not_taken_for_the_first(
    tmp_path: Path,
) -> None:
    for name, colour in (("dark", 10), ("light", 240)):
        for number in range(12):
            path = tmp_path / name / f"class {number % 4}" / f"{number}.bmp"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 20), (colour, number, 0)).save(path)
            os.utime(path, (0, 0))
    dark, light = photos(tmp_path / "dark"), photos(tmp_path / "light")
    assert computed(tmp_path, dark) == 3 * len(dark)
    assert computed(tmp_path, light) == 3 * len(light)


def test_so_are_other_weights_transforms_settings_and_images(tmp_path: Path) -> None:
    dataset = photos(tmp_path / "photos")
    whole = computed(tmp_path, dataset)
    assert whole == 3 * len(dataset)
    assert computed(tmp_path, dataset, Mean(2.0)) == whole
    assert computed(tmp_path, dataset, Mean().double()) == whole
    for transform in ({"size": 8}, {"reduced_jpeg": True}):
        assert computed(tmp_path, photos(tmp_path / "photos", **transform)) == whole
    assert computed(tmp_path, dataset, settings={"pooling": "max"}) == whole
    part = ClassSubset(dataset, [0], dataset.transform)
    assert computed(tmp_path, part) == 3 * len(part)


def test_images_that_are_no_files_count_by_their_content(tmp_path: Path) -> None:
    dataset = ClassSubset(Digits(), [0, 1], lambda image: image.float().expand(3, -1, -1))
    whole = ClassSubset(Digits(), [0, 1, 2], dataset.transform)
    assert computed(tmp_path, dataset) == 3 * len(dataset)
    assert computed(tmp_path, dataset) == 0
    assert computed(tmp_path, whole) == 3 * len(whole)


def test_a_damaged_file_and_a_folder_that_cannot_be_written_are_warnings(tmp_path: Path) -> None:
    dataset = photos(tmp_path / "photos")
    computed(tmp_path, dataset)
    file = next(iter(tmp_path.glob("features-*.safetensors")))
    file.write_bytes(file.read_bytes()[:50])
    with pytest.warns(UserWarning, match=r"features-.* is computed again"):
        assert computed(tmp_path, dataset) == len(dataset)
    with pytest.warns(UserWarning, match="could not be kept"):
        assert computed(file / "inside", dataset) == 3 * len(dataset)
