"""The steps of test transforms, and the same steps as another program would apply them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gcahng.data import build_transform
from gcahng.inference.preprocessing import Preprocessing, preprocessing_of
from gcahng.models.backbones import LibraryTransform, own_transform


@pytest.mark.parametrize(
    ("name", "args", "steps"),
    [
        ("digits", {}, Preprocessing()),
        ("glyphs", {"size": 24}, Preprocessing(size=24)),
        (
            "imagenet",
            {"size": 64, "resize": 70, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]},
            Preprocessing(True, 70, 64, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)),
        ),
        (
            "imagenet",
            {"size": 98, "resize": 100, "mean": [0.5], "std": [0.2], "reduced_jpeg": True},
            Preprocessing(True, 100, 98, (0.5,), (0.2,), shortest_side=200),
        ),
    ],
)
def test_steps_of_every_transform(name: str, args: dict[str, Any], steps: Preprocessing) -> None:
    assert preprocessing_of(build_transform(name, train=False, **args)) == steps


def test_imagenet_in_the_convention_of_hugging_face() -> None:
    steps = preprocessing_of(build_transform("imagenet", train=False))
    assert steps.huggingface() == {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": 256},
        "resample": 2,
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }


@pytest.mark.parametrize("name", ["timm/test_vit", "torchvision/convnext_tiny"])
def test_steps_of_libraries(name: str) -> None:
    own = own_transform(name)
    assert own is not None
    pixels = np.random.default_rng(0).integers(0, 256, (300, 410, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    found = apply(preprocessing_of(own).huggingface(), image)
    torch.testing.assert_close(found, own(image), rtol=1e-5, atol=1e-5)


def test_steps_of_a_picture_that_is_squashed() -> None:
    from timm.data import create_transform

    settings: dict[str, Any] = {"input_size": (3, 32, 24), "crop_pct": 1.0, "crop_mode": "squash"}
    steps = preprocessing_of(LibraryTransform(create_transform(**settings), settings))
    assert (steps.resize, steps.size) == ((32, 24), (32, 24))
    assert steps.huggingface()["size"] == {"height": 32, "width": 24}
    settings |= {"crop_mode": "border"}
    with pytest.raises(ValueError, match="ResizeKeepRatio"):
        preprocessing_of(LibraryTransform(create_transform(**settings), settings))


def apply(steps: dict[str, Any], image: Image.Image) -> Tensor:
    """What the file says, step by step."""
    if steps["do_resize"]:
        short = steps["size"]["shortest_edge"]
        ratio = short / min(image.size)
        size = [short if side == min(image.size) else int(side * ratio) for side in image.size]
        image = image.resize((size[0], size[1]), steps["resample"])
    if steps["do_center_crop"]:
        width, height = steps["crop_size"]["width"], steps["crop_size"]["height"]
        left, top = round((image.width - width) / 2), round((image.height - height) / 2)
        image = image.crop((left, top, left + width, top + height))
    pixels = np.asarray(image) * steps["rescale_factor"]
    if steps["do_normalize"]:
        pixels = (pixels - steps["image_mean"]) / steps["image_std"]
    return torch.from_numpy(pixels).permute(2, 0, 1).float()


@pytest.mark.parametrize("size", [(300, 500), (640, 257), (90, 100)])
def test_the_steps_give_what_the_transform_gives(size: tuple[int, int]) -> None:
    transform: Callable[[Image.Image], Tensor] = build_transform("imagenet", train=False)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    found = apply(preprocessing_of(transform).huggingface(), image)
    torch.testing.assert_close(found, transform(image), rtol=1e-5, atol=1e-5)
