"""Image size, mean and standard deviation come from timm where an experiment has none."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gcahng.builders.image_settings import adopt_image_settings
from gcahng.builders.images import build_splits
from gcahng.builders.networks import build_embedder
from gcahng.config import dump_config, load_config, parse_config

HALVES = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


def _adopted(backbone: str, *overrides: str) -> tuple[dict[str, Any], dict[str, Any], Any]:
    settings = [f"embedder.backbone.name={backbone}", "embedder.freeze=[]", *overrides]
    config = adopt_image_settings(load_config("photos", settings))
    assert adopt_image_settings(parse_config(dump_config(config), "config.yaml")) == config
    transform = config.data.transform
    # The recipe's own setting is none of the backbone's.
    train, test = (
        {key: value for key, value in args.items() if key != "reduced_jpeg"}
        for args in (transform.train, transform.test)
    )
    return train, test, config.embedder.backbone.args.get("img_size")


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        ("timm/vit_tiny_patch16_224", HALVES),
        ("timm/tf_efficientnet_lite0", HALVES),
        ("timm/efficientnet_b3", {"size": 288}),
        ("timm/vit_small_patch14_dinov2", {"size": 518}),
        ("timm/swinv2_tiny_window8_256", {"size": 256}),
        ("timm/test_vit", {"size": 160, **HALVES}),
        ("timm/resnet18", {}),
        ("torchvision/resnet18", {}),
        ("dino_vits16", {}),
    ],
)
def test_the_models_own_where_nothing_is_set(backbone: str, expected: dict[str, Any]) -> None:
    assert _adopted(backbone) == (expected, expected, None)


def test_what_is_set_takes_precedence() -> None:
    mean = "data.transform.test={mean: [0.4, 0.4, 0.4]}"
    train, test, img_size = _adopted("timm/tf_efficientnet_lite0", mean)
    assert (train, test, img_size) == (HALVES, HALVES | {"mean": [0.4, 0.4, 0.4]}, None)


def test_another_transform_has_no_such_arguments() -> None:
    assert _adopted("timm/test_vit", "data.transform.name=digits") == ({}, {}, None)


def test_a_fixed_size_follows_the_images() -> None:
    train = ["data.transform.train.size=96", "data.transform.test.size=96"]
    assert _adopted("timm/test_vit", *train)[2] == 96
    assert _adopted("timm/tf_efficientnet_lite0", *train)[2] is None  # takes every size
    for size in (64, [64, 64]):
        own = _adopted("timm/test_vit", f"embedder.backbone.args.img_size={size}")
        assert own == ({"size": 64, **HALVES}, {"size": 64, **HALVES}, size)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_size_of_one_split_holds_for_both(part: str) -> None:
    found = _adopted("timm/test_vit", f"data.transform.{part}.size=64")
    assert found == ({"size": 64, **HALVES}, {"size": 64, **HALVES}, 64)


def test_the_embedder_gets_its_images(tmp_path: Path) -> None:
    for label in "abcd":
        for split in ("train", "test"):
            (tmp_path / split / f"{split}-{label}").mkdir(parents=True)
            for number in range(2):
                path = tmp_path / split / f"{split}-{label}" / f"{number}.png"
                Image.new("RGB", (200, 180), (255, 0, 0)).save(path)
    settings = [
        f"data.root={tmp_path}",
        "data.validation=0",
        "batch.classes=2",
        "embedder.backbone={name: timm/test_vit, args: {pretrained: false}}",
        "embedder.freeze=[]",
    ]
    config = adopt_image_settings(load_config("photos", settings))
    image = build_splits(config).test[0][0]
    assert image.shape == (3, 160, 160)
    assert image.amax((1, 2)).tolist() == [1.0, -1.0, -1.0]
    assert build_embedder(config).eval()(image[None]).shape == (1, config.embedder.dim)
