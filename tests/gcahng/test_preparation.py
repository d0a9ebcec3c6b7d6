"""A test transform whose steps are numbers; the libraries' are compared in `test_libraries`."""

import json

import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from gcahng.data import build_transform
from gcahng.preparation import PHOTO, Preparation


@pytest.mark.parametrize(
    ("name", "args", "steps"),
    [
        ("digits", {}, Preparation()),
        ("glyphs", {"size": 24}, Preparation(size=24)),
        ("imagenet", {}, PHOTO),
        (
            "imagenet",
            {"size": 98, "resize": 100, "mean": [0.5], "std": [0.2], "reduced_jpeg": True},
            Preparation(True, 100, 98, (0.5,), (0.2,), shortest_side=200),
        ),
    ],
)
def test_every_transform_is_read_again(
    name: str, args: dict[str, object], steps: Preparation
) -> None:
    made = build_transform(name, train=False, **args)
    assert made == steps == Preparation.from_dict(json.loads(json.dumps(steps.to_dict())))


@pytest.mark.parametrize("shape", [(1, 50_000), (50_000, 1)])
def test_the_middle_of_a_line_is_used(shape: tuple[int, int]) -> None:
    # All of it would become 12 million pixels long before it is cropped.
    line = PHOTO(Image.new("RGB", shape, "red"))
    assert torch.equal(line, PHOTO(Image.new("RGB", (300, 300), "red")))


def test_sizes_may_differ_by_side() -> None:
    steps = Preparation(True, (32, 24), (30, 20), interpolation="bicubic")
    assert steps(Image.new("RGB", (50, 90))).shape == (3, 30, 20)


@pytest.mark.parametrize("shape", [(50, 90), (90, 51), (32, 32), (20, 28), (64, 33)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_images_become_what_torchvision_makes_of_them(
    shape: tuple[int, int], interpolation: str
) -> None:
    pixels = torch.randint(0, 256, (*shape, 3), generator=torch.manual_seed(0)).byte()
    image, mean, std = Image.fromarray(pixels.numpy()), (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    mode = v2.InterpolationMode(interpolation)
    theirs = [v2.Resize(32, mode), v2.CenterCrop((30, 40)), v2.PILToTensor()]
    expected = (v2.Compose(theirs)(image) / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(
        std
    ).view(3, 1, 1)
    steps = Preparation(True, 32, (30, 40), mean, std, interpolation=interpolation)
    assert torch.equal(steps(image), expected)
    assert torch.equal(
        Preparation(size=24)(pixels.permute(2, 0, 1)),
        v2.Compose([v2.CenterCrop(24), v2.ToDtype(torch.float32, scale=True)])(
            pixels.permute(2, 0, 1)
        ),
    )


def test_unknown_steps() -> None:
    with pytest.raises(TypeError, match="rotate"):
        Preparation.from_dict({"rotate": 90})
