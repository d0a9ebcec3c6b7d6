"""Large JPEGs are decoded at a fraction of their size where a shorter side is asked for."""

from pathlib import Path

import pytest
from PIL import Image

from gcahng.data import read_image
from gcahng.pictures import decode_image
from tests.gcahng.test_pictures import ORIENTATION, noisy


@pytest.mark.parametrize(
    ("shortest", "size"), [(None, (320, 240)), (241, (320, 240)), (120, (160, 120)), (1, (40, 30))]
)
@pytest.mark.parametrize(
    ("mode", "suffix", "progressive"),
    [("RGB", "jpg", False), ("L", "jpg", False), ("CMYK", "jpg", True), ("RGB", "mpo", False)],
)
def test_a_jpeg_is_decoded_at_a_reduced_size(
    tmp_path: Path,
    shortest: int | None,
    size: tuple[int, int],
    mode: str,
    suffix: str,
    progressive: bool,
) -> None:
    path, exif = tmp_path / f"photo.{suffix}", Image.Exif()
    exif[ORIENTATION] = 6
    noisy(320, 240).convert(mode).save(path, exif=exif, progressive=progressive)
    turned = size[::-1]
    for image in (
        read_image(path, shortest=shortest),
        decode_image(path.read_bytes(), shortest=shortest),
    ):
        assert (image.mode, image.size) == ("RGB", turned)
        assert ORIENTATION not in image.getexif()


def test_other_formats_are_not_reduced(tmp_path: Path) -> None:
    for suffix in ("png", "webp", "tif"):
        noisy().save(tmp_path / f"photo.{suffix}")
        assert read_image(tmp_path / f"photo.{suffix}", shortest=6).size == (64, 48)


def test_a_truncated_jpeg_is_refused_at_every_size(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    noisy().save(path)
    path.write_bytes(path.read_bytes()[:400])
    for shortest in (None, 6):
        with pytest.raises(ValueError, match="Cannot read the image"):
            read_image(path, shortest=shortest)
