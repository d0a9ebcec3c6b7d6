from collections.abc import Sequence

import numpy as np
import pytest

from gcahng.graph.visualize.style import (
    CLASSES,
    ink,
    shorten,
)


def _linear(colours: Sequence[str]) -> np.ndarray:
    parts = np.array(
        [[int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)] for colour in colours]
    )
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def test_text_on_classes_is_legible() -> None:
    luminance = _linear(CLASSES) @ [0.2126, 0.7152, 0.0722]
    for colour, light in zip(CLASSES, luminance, strict=True):
        contrast = 1.05 / (light + 0.05) if ink(colour) == "#ffffff" else (light + 0.05) / 0.05
        assert contrast >= 4.5


@pytest.mark.parametrize(
    ("name", "short"),
    [("short", "short"), ("abcdefghijk", "abcd…hijk"), ("123456789", "123456789")],
)
def test_long_names_lose_their_middle(name: str, short: str) -> None:
    assert shorten(name, 9) == short
