import numpy as np

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
