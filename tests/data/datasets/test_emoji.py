"""Emoji, as every published data set; its making is tested in tests/data/emoji."""

from pathlib import Path

import pytest

from gcahng.data import Emoji, build_dataset
from gcahng.data.datasets.published_dataset import Size


def test_how_to_make_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as info:
        build_dataset("emoji", "train", tmp_path)
    assert str(info.value) == (
        f"There is no Emoji in '{tmp_path}' or its subfolders named emoji: looked for train/ and "
        "test/ and ATTRIBUTION.md. Make it with: gcahng data fetch emoji --root FOLDER"
    )


def test_expected_sizes() -> None:
    assert Emoji.expected == {"train": Size(3500, 541), "test": Size(3962, 622)}
