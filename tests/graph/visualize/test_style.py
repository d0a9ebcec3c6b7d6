from collections.abc import Sequence

import matplotlib
import numpy as np
import pytest
from matplotlib import rc_context

from gcahng.graph.visualize.style import (
    CLASSES,
    COLOURS,
    DIVERGING,
    SAME_CLASS,
    SEQUENTIAL,
    STYLE,
    ink,
    shorten,
)

# Machado, Oliveira and Fernandes (2009): linear RGB as seen without one kind of cones.
SIGHTS = {
    "all colours": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
# Oklab, whose distances are about those that are seen.
CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
LAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


def _linear(colours: Sequence[str]) -> np.ndarray:
    parts = np.array(
        [[int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)] for colour in colours]
    )
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def _seen(colours: Sequence[str], sight: str) -> np.ndarray:
    light = np.clip(_linear(colours) @ np.transpose(SIGHTS[sight]), 0, 1)
    return np.cbrt(light @ np.transpose(CONES)) @ np.transpose(LAB)


@pytest.mark.parametrize(
    ("sight", "least"), [("all colours", 0.15), ("no red", 0.12), ("no green", 0.12)]
)
def test_classes_look_different_to_everyone(sight: str, least: float) -> None:
    assert len(CLASSES) >= 10
    seen = _seen([*CLASSES, SAME_CLASS], sight)
    gaps = np.linalg.norm(seen[:, None] - seen, axis=-1)[np.triu_indices(len(seen), 1)]
    assert gaps.min() > least


def test_text_on_classes_is_legible() -> None:
    luminance = _linear(CLASSES) @ [0.2126, 0.7152, 0.0722]
    for colour, light in zip(CLASSES, luminance, strict=True):
        contrast = 1.05 / (light + 0.05) if ink(colour) == "#ffffff" else (light + 0.05) / 0.05
        assert contrast >= 4.5


def test_matplotlib_knows_it_all() -> None:
    with rc_context(STYLE):
        assert matplotlib.rcParams["text.parse_math"] is False
    assert {SEQUENTIAL, f"{SEQUENTIAL}_r", DIVERGING} <= set(matplotlib.colormaps)
    assert len(set(COLOURS)) == len(COLOURS)


@pytest.mark.parametrize(
    ("name", "short"),
    [("short", "short"), ("abcdefghijk", "abcd…hijk"), ("123456789", "123456789")],
)
def test_long_names_lose_their_middle(name: str, short: str) -> None:
    assert shorten(name, 9) == short
