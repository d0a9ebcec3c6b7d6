from pathlib import Path

import pytest

from data import DATASETS, TRANSFORMS, Digits, Glyphs, ImageDataset, build_dataset


def test_every_data_set_is_built_by_name(glyphs_root: Path) -> None:
    assert isinstance(build_dataset("digits", "train"), Digits)
    glyphs = build_dataset("glyphs", "test", glyphs_root, transform=lambda image: image.sum())
    assert isinstance(glyphs, Glyphs)
    assert glyphs[0][0].shape == ()


@pytest.mark.parametrize("dataset", DATASETS.values())
def test_every_data_set_names_a_transform(dataset: type[ImageDataset]) -> None:
    assert dataset.transform_name in TRANSFORMS


def test_unknown_names_splits_and_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Unknown data set 'x': choose one of digits, glyphs"):
        build_dataset("x", "train")
    with pytest.raises(ValueError, match=r"Digits has no split 'pre'"):
        build_dataset("digits", "pre")
    with pytest.raises(
        ValueError, match=r"'glyphs' has .*'seeds'; it takes root, split, transform"
    ):
        build_dataset("glyphs", "train", seeds=1)
