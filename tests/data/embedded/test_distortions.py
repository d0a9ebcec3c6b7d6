import numpy as np
import pytest

from gcahng.data.embedded import distortions
from gcahng.data.embedded.distortions import IMAGE_SIZE, distort


def square(n: int) -> np.ndarray:
    bitmap = np.zeros((n, 48, 48), dtype=np.uint8)
    bitmap[:, 16:32, 16:32] = 255
    return bitmap


def test_pictures_are_seeded_and_differ() -> None:
    first = distort(square(20), np.random.default_rng(0))
    assert first.shape == (20, IMAGE_SIZE, IMAGE_SIZE)
    assert first.dtype == np.uint8
    assert np.array_equal(first, distort(square(20), np.random.default_rng(0)))
    assert not np.array_equal(first, distort(square(20), np.random.default_rng(1)))
    assert len({picture.tobytes() for picture in first}) == 20


def test_tones_are_bright_ink_on_a_dark_background() -> None:
    pictures = distort(square(300), np.random.default_rng(0)) / 255
    ink = pictures[:, 16:20, 16:20].mean(axis=(1, 2))
    corner = pictures[:, :3, :3].mean(axis=(1, 2))
    assert ink.min() > 0.55
    assert abs(ink.mean() - 0.8) < 0.03
    assert corner.max() < 0.55
    assert abs(corner.mean() - 0.15) < 0.04


def test_ink_moves_and_changes_its_size() -> None:
    pictures = distort(square(300), np.random.default_rng(0)) > 115
    centres, areas = [], []
    for picture in pictures:
        rows, _ = picture.nonzero()
        centres.append(np.median(rows))
        areas.append(len(rows))
    # Twelve pixels a side; a shift of at most 4 % of 36 pixels, enlarged or rotated a little.
    assert 1 < np.ptp(centres) < 5
    assert 100 < np.median(areas) < 190


def test_without_distortion_the_picture_is_the_reduced_bitmap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    still = {"ROTATION": 0.0, "SCALE": (1, 1), "STRETCH": 0, "SHEAR": 0, "SHIFT": 0}
    flat = {"FOREGROUND": (1, 1), "BACKGROUND": (0, 0), "TEXTURE": (0, 0), "NOISE": (0, 0)}
    for name, value in (still | flat).items():
        monkeypatch.setattr(distortions, name, value)
    picture = distort(square(1), np.random.default_rng(0))[0]
    expected = np.zeros((IMAGE_SIZE, IMAGE_SIZE))
    expected[12:24, 12:24] = 255
    assert np.abs(picture - expected).max() <= 255 * 0.35
    assert (picture > 127).sum() == 144
