from pathlib import Path

import numpy as np
import pytest

from gcahng.data import ClassSubset, Glyphs, contact_sheet
from gcahng.data.sheet import GAP, HEADER, TILE
from tests.data.toy import Toy


def test_sheet_follows_from_its_seed(glyphs_root: Path) -> None:
    dataset = Glyphs(glyphs_root, "train")
    first = contact_sheet(dataset, 3, 3, seed=1)
    assert first.tobytes() == contact_sheet(dataset, 3, 3, seed=1).tobytes()
    assert first.tobytes() != contact_sheet(dataset, 3, 3, seed=2).tobytes()


def test_colour_images_and_uneven_classes() -> None:
    dataset = Toy(counts=(200, 2, 4, 2))
    pixels = np.asarray(contact_sheet(dataset, classes=9, per_class=4))
    blues = [pixels[HEADER + row * (TILE + GAP) + TILE // 2, :, 2].min() for row in range(4)]
    assert blues[0] == 0
    subset = contact_sheet(ClassSubset(dataset, [1, 2]), classes=9, per_class=4)
    assert pixels.shape[0] - subset.height == 2 * (TILE + GAP)


def test_refuses_an_empty_sheet() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        contact_sheet(Toy(), 0)
