from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from gcahng.data import (
    CUB,
    DATASETS,
    SOP,
    TRANSFORMS,
    Cars,
    CSVFile,
    Digits,
    Folder,
    Glyphs,
    HuggingFace,
    ImageDataset,
    InShop,
    build_dataset,
)
from tests.data import trees

PHOTOS = [
    ("cars", Cars, trees.cars_tree),
    ("csv", CSVFile, trees.csv_tree),
    ("cub", CUB, trees.cub_tree),
    ("folder", Folder, trees.folder_tree),
    pytest.param(
        *("huggingface", HuggingFace, trees.hugging_face),
        marks=pytest.mark.skipif(find_spec("datasets") is None, reason="needs the extra hf"),
    ),
    ("inshop", InShop, trees.inshop_tree),
    ("sop", SOP, trees.sop_tree),
]


def test_every_data_set_is_built_by_name(glyphs_root: Path) -> None:
    assert isinstance(build_dataset("digits", "train"), Digits)
    glyphs = build_dataset("glyphs", "test", glyphs_root, transform=lambda image: image.sum())
    assert isinstance(glyphs, Glyphs)
    assert glyphs[0][0].shape == ()


@pytest.mark.parametrize(("name", "dataset", "build"), PHOTOS)
def test_every_photo_data_set_is_built_by_name(
    tmp_path: Path, name: str, dataset: type[ImageDataset], build: Callable[[Path], Path]
) -> None:
    build(tmp_path)
    built = build_dataset(name, "test", tmp_path, transform=lambda image: image.mode)
    assert type(built) is dataset
    assert built[0] == ("RGB", int(built.labels[0]))
    with pytest.raises(ValueError, match=rf"'{name}' takes no 'unredable'"):
        build_dataset(name, "train", tmp_path, unredable="skip")
    with pytest.raises(ValueError, match=r"reads its images from files: set 'root'"):
        build_dataset(name, "train")


@pytest.mark.parametrize("dataset", DATASETS.values())
def test_every_data_set_names_a_transform(dataset: type[ImageDataset]) -> None:
    assert dataset.transform_name in TRANSFORMS
