import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gcahng.inference.images import one_by_one, rgb_image

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = PIXELS[..., :1]


@pytest.mark.parametrize(
    "image",
    [
        PIXELS,
        Image.fromarray(PIXELS),
        torch.from_numpy(PIXELS).permute(2, 0, 1),
        PIXELS.astype(np.float32) / 255,
        torch.from_numpy(PIXELS).permute(2, 0, 1).double() / 255,
    ],
)
def test_all_kinds_give_the_same_pixels(image: Any) -> None:
    assert np.array_equal(np.asarray(rgb_image(image)), PIXELS)


@pytest.mark.parametrize(
    "image",
    [GREY, GREY[..., 0], torch.from_numpy(GREY).permute(2, 0, 1), Image.fromarray(GREY[..., 0])],
)
def test_grey_has_three_equal_channels(image: Any) -> None:
    assert np.array_equal(np.asarray(rgb_image(image)), np.repeat(GREY, 3, axis=2))


def test_a_file_and_its_opened_image_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).resize((40, 20)).save(path, exif=exif)
    with Image.open(path) as image:
        opened = rgb_image(image)
    assert opened.size == (20, 40)
    assert opened.tobytes() == rgb_image(path).tobytes() == rgb_image(str(path)).tobytes()


@pytest.mark.parametrize(
    ("images", "count"),
    [
        ("photo.jpg", 1),
        (PIXELS, 1),
        (np.stack([PIXELS, PIXELS]), 2),
        (torch.zeros(3, 3, 4, 4), 3),
        (["a.jpg", PIXELS, torch.zeros(1, 4, 4)], 3),
        (iter(["a.jpg", "b.jpg"]), 2),
        ([], 0),
    ],
)
def test_one_or_many(images: Any, count: int) -> None:
    assert len(list(one_by_one(images))) == count


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_precision_is_read(dtype: torch.dtype) -> None:
    image = torch.rand(3, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    assert rgb_image(image.to(dtype)) == rgb_image(image.float())


@pytest.mark.parametrize(
    ("image", "error", "sentence"),
    [
        (5, TypeError, "got int"),
        (torch.zeros(2, 4, 4), ValueError, "got a tensor [2, 4, 4]"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, "got an array [4, 4, 4]"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "got an array [0, 4, 3]"),
        (np.zeros((4, 4), np.int64), ValueError, "uint8 or as floats in [0, 1], got int64"),
        (torch.full((3, 4, 4), 2.5), ValueError, "got values from 2.5 to 2.5: give the raw image"),
        (torch.full((3, 4, 4), torch.nan), ValueError, "got values from nan to nan"),
        (torch.zeros(3, 4, 4, dtype=torch.complex64), ValueError, "in [0, 1], got complex64"),
        (Image.new("RGB", (0, 0)), ValueError, "it has 0 × 0 pixels"),
        ("nowhere.jpg", FileNotFoundError, "There is no image 'nowhere.jpg'"),
    ],
)
def test_other_input_is_refused(image: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        rgb_image(image)
