"""Only what a crop keeps of a long image is computed, and equals the whole pipeline's output."""

import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from gcahng.data import build_transform
from gcahng.data.elongated import ELONGATED, ResizeAndCrop


def photo(width: int, height: int, seed: int) -> Image.Image:
    rng = np.random.default_rng([width, height, seed])
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def whole(image: Image.Image, resize: int, size: int) -> Image.Image:
    return v2.CenterCrop(size)(v2.Resize(resize)(image))


@pytest.mark.parametrize("seed", range(40))
def test_any_shape_gives_the_same_bits_as_resizing_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(10):
        short, ratio = int(rng.integers(1, 60)), ELONGATED + 20 * rng.random()
        size = int(rng.choice([8, 28, 32, 96]))
        resize = size + int(rng.integers(0, 20))
        sides = [short, int(np.ceil(short * ratio))]
        for width, height in (sides, sides[::-1]):
            image = photo(width, height, seed)
            expected = whole(image, resize, size).tobytes()
            assert ResizeAndCrop(resize, size)(image).tobytes() == expected, (image.size, resize)


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (255, 2040), (31, 256), (2, 15), (300, 300)])
def test_the_published_sizes_give_the_same_bits(size: tuple[int, int]) -> None:
    image = photo(*size, seed=0)
    assert ResizeAndCrop(256, 224)(image).tobytes() == whole(image, 256, 224).tobytes()


def test_tensors_are_resized_as_before() -> None:
    image = torch.randint(0, 256, (3, 4, 40), dtype=torch.uint8)
    expected = v2.CenterCrop(8)(v2.Resize(10)(image))
    assert torch.equal(ResizeAndCrop(10, 8)(image), expected)


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1)])
@pytest.mark.parametrize("train", [False, True])
def test_a_line_of_pixels_takes_little_memory(
    size: tuple[int, int], train: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    resized: list[int] = []
    original = Image.Image.resize

    def resize(image: Image.Image, to: tuple[int, int], *args: object, **rest: object) -> object:
        resized.append(to[0] * to[1])
        return original(image, to, *args, **rest)

    monkeypatch.setattr(Image.Image, "resize", resize)
    tracemalloc.start()
    assert build_transform("imagenet", train)(photo(*size, seed=0)).shape == (3, 224, 224)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert max(resized, default=0) <= 224 * 224
