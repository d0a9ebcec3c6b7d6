from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms as v1

from gcahng.data import build_transform, read_image
from gcahng.data.datasets.base import shortest_side


def picture(size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(("name", "size", "out"), [("glyphs", 36, 32), ("digits", 8, 8)])
def test_shape_range_and_randomness(name: str, size: int, out: int) -> None:
    raw = picture(size)
    train, test = build_transform(name, train=True), build_transform(name, train=False)
    assert test(raw).shape == train(raw).shape == (1, out, out)
    assert test(raw).dtype == train(raw).dtype == torch.float32
    margin = (size - out) // 2
    centre = raw[:, margin : margin + out, margin : margin + out] / 255
    torch.testing.assert_close(test(raw), centre)
    torch.manual_seed(1)
    first = [train(raw) for _ in range(8)]
    torch.manual_seed(1)
    assert all(torch.equal(image, train(raw)) for image in first)
    assert not all(torch.equal(image, first[0]) for image in first)
    assert min(map(torch.min, first)) > -0.2
    assert max(map(torch.max, first)) < 1.2


MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def photo(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng([width, height])
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [(500, 375), (90, 120), (224, 224), (640, 100), (17, 40)])
def test_photos_are_prepared_as_in_the_published_code_to_the_last_bit(
    size: tuple[int, int],
) -> None:
    tail = [v1.ToTensor(), v1.Normalize(MEAN, STD)]
    augment = [v1.RandomResizedCrop((224, 224), (0.08, 1)), v1.RandomHorizontalFlip()]
    centre = [v1.Resize(256), v1.CenterCrop(224)]
    raw = photo(*size)
    tested = build_transform("imagenet", train=False)(raw)
    assert type(tested) is torch.Tensor
    assert (tested.dtype, tested.shape) == (torch.float32, (3, 224, 224))
    assert torch.equal(tested, v1.Compose([*centre, *tail])(raw))
    ours, theirs = build_transform("imagenet", train=True), v1.Compose([*augment, *tail])
    for seed in range(4):
        torch.manual_seed(seed)
        expected = theirs(raw)
        torch.manual_seed(seed)
        assert torch.equal(ours(raw), expected)


def test_a_reduced_photo_gives_nearly_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    coarse = np.asarray(photo(40, 30).resize((1600, 1200), Image.Resampling.BICUBIC), np.int16)
    levels = coarse + np.random.default_rng(0).integers(-20, 21, coarse.shape)
    Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    args = {"size": 128, "mean": [0.0] * 3, "std": [1 / 255] * 3}
    plain = build_transform("imagenet", train=False, **args)
    reduced = build_transform("imagenet", train=False, **args, reduced_jpeg=True)
    assert shortest_side(plain) is None
    large, small = read_image(path), read_image(path, shortest=shortest_side(reduced))
    assert small.size == (400, 300)
    difference = (reduced(small) - plain(large)).abs()
    assert 0 < float(difference.mean()) < 0.5
    assert float(difference.max()) < 3.5
    # The key of cached features contains the transform's text.
    for train, side in ((False, 292), (True, 523)):
        text = repr(build_transform("imagenet", train, **args, reduced_jpeg=True))
        assert f"shortest_side={side}" in text


@pytest.mark.parametrize(
    ("train", "args", "expected"),
    [
        (False, {}, 2 * 256),
        (False, {"size": 32}, 192),
        (True, {}, 915),  # 224 / √(0.08 · 3/4)
        (True, {"size": 96, "scale": [0.5, 1.0]}, 192),
    ],
)
def test_the_shorter_side_that_a_reduced_photo_needs(
    train: bool, args: dict[str, Any], expected: int
) -> None:
    assert shortest_side(build_transform("imagenet", train, **args, reduced_jpeg=True)) == expected


def test_impossible_crops_are_refused() -> None:
    for scale in ([0.5], [0.0, 1.0], [0.8, 0.2], [0.1, 1.5]):
        with pytest.raises(ValueError, match=r"'scale' as two ascending fractions in \(0, 1\]"):
            build_transform("imagenet", train=True, scale=scale)
    with pytest.raises(ValueError, match=r"'resize' of at least 'size' \(got 200 and 224\)"):
        build_transform("imagenet", train=False, resize=200)


@pytest.mark.parametrize("train", [False, True])
def test_a_line_of_pixels_takes_little_time(train: bool) -> None:
    for size in ((1, 200_000), (200_000, 1)):
        assert build_transform("imagenet", train)(photo(*size)).shape == (3, 224, 224)
