"""Splits, and images of the size, mean and deviation that a backbone expects."""

import html
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gcahng.builders.images import (
    build_splits,
    build_train_loader,
    open_plain,
    transform_of,
)
from gcahng.builders.settings import adopt_image_settings
from gcahng.config import dump_config, load_config
from gcahng.config.experiment import parse_config
from gcahng.data import ClassBalancedBatchSampler, PublishedBatchSampler
from tests.conftest import SMALL_PHOTOS, Call
from tests.data.trees import folder_tree


def test_a_closed_set_is_said_everywhere(tmp_path: Path, call: Call) -> None:
    folder_tree(tmp_path / "photos" / "train", "abc", images=3)
    folder_tree(tmp_path / "photos" / "test", "bcd", images=3)
    folder = tmp_path / "run"
    root = f"data.root={tmp_path / 'photos'}"
    said = call("train", "photos", root, *SMALL_PHOTOS, "--run", folder)
    assert said.status == 0, said.err
    sentence = "Closed set: 2 of 3 test classes were trained on"
    assert said.out.index(f"note: {sentence}") < said.out.index("epoch 1/1")
    assert said.out.count(sentence) == 2, "before the training, and below the table"
    assert sentence in (folder / "report.html").read_text(encoding="utf-8")
    results = json.loads((folder / "results.json").read_text())
    assert (results["test_classes_trained_on"], results["test_classes"]) == (2, 3)


def test_a_forgotten_root_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCAHNG_DATA", str(tmp_path / "x"))
    said = rf"^There is no folder '{tmp_path}/x': expected one folder of images per class, .*\."
    with pytest.raises(FileNotFoundError, match=rf"{said} data\.root \(or --root\) is not set"):
        build_splits(load_config("photos"))
    with pytest.raises(FileNotFoundError, match=rf"{said}$"):
        build_splits(load_config("photos", [f"data.root={tmp_path / 'x'}"]))


def photos_with_validation(folder: Path) -> list[str]:
    """Make train/, valid/ and test/, and return the arguments of a training."""
    folder_tree(folder / "photos" / "train", "abcd", images=3)
    folder_tree(folder / "photos" / "valid", "ef", images=3)
    folder_tree(folder / "photos" / "test", "gh", images=3)
    return [f"data.root={folder / 'photos'}", *SMALL_PHOTOS, "data.validation=0.5"]


def test_the_users_validation_folder_chooses_the_best_epoch(tmp_path: Path, call: Call) -> None:
    overrides = photos_with_validation(tmp_path)
    splits = build_splits(load_config("photos", overrides))
    assert splits.train.classes == ["a", "b", "c", "d"]
    assert splits.validation is not None
    assert splits.validation.classes == ["e", "f"]
    assert splits.validation[0][0].shape == (3, 32, 32)
    assert open_plain(load_config("photos", overrides), "val").classes == ["e", "f"]
    run = tmp_path / "run"
    said = call("train", "photos", *overrides, "--run", run)
    assert said.status == 0, said.err
    note = "The best epoch is chosen on the data set's validation split; no class is held out."
    assert said.out.index(f"note: {note}") < said.out.index("epoch 1/1")
    sentence = "Best epochs chosen by MAP@R on the data set's validation split."
    assert sentence in said.out
    assert sentence in html.unescape((run / "report.html").read_text(encoding="utf-8"))
    assert "val/recall@1" in (run / "metrics.csv").read_text()


def test_too_few_classes_to_hold_any_out_say_the_remedy(tmp_path: Path) -> None:
    folder_tree(tmp_path / "photos", "abcde", images=3)
    config = load_config("photos", [f"data.root={tmp_path / 'photos'}"])
    sentence = (
        "^data.validation: of 3 training classes none can be held out: "
        "set it to 0, and batch.classes to at most 3$"
    )
    with pytest.raises(ValueError, match=sentence):
        build_splits(config)


@pytest.mark.parametrize(
    ("quirk", "kind"),
    [("faithful", PublishedBatchSampler), ("corrected", ClassBalancedBatchSampler)],
)
def test_a_quirk_chooses_the_order_of_the_images(quirk: str, kind: type) -> None:
    config = load_config("digits", [f"quirks.sampling={quirk}"])
    assert type(build_train_loader(config, build_splits(config).train).batches) is kind


def test_the_transform_of_the_library() -> None:
    tiny = ["embedder.backbone.name=timm/test_vit", "data.transform.name=library"]
    transform = transform_of(load_config("photos", tiny), augment=False)
    picture = torch.randint(0, 256, (3, 40, 300), dtype=torch.uint8)
    assert transform(picture).shape == (3, 160, 160)
    for settings, sentence in (
        ([*tiny, "data.transform.test={size: 64}"], "'library' takes no arguments"),
        (["data.transform.name=library", "embedder.backbone.name=resnet50"], "'resnet50' is none"),
    ):
        with pytest.raises(ValueError, match=rf"^data\.transform\.name: .*{sentence}"):
            transform_of(load_config("photos", settings), augment=False)


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
