import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from gcahng.data.transforms import RGB
from gcahng.pictures import (
    Examination,
    TooManyPixels,
    decode_image,
    examine,
    examine_all,
    read_image,
)
from tests.data.trees import photo

ORIENTATION = 0x0112


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    photo(tmp_path / "photo.jpg", 3, size=(48, 32))
    return tmp_path / "photo.jpg"


def noisy(width: int = 64, height: int = 48) -> Image.Image:
    levels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def test_an_upright_photo_is_not_copied(jpeg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image.Image, "convert", None)
    monkeypatch.setattr(Image.Image, "copy", None)
    image = decode_image(jpeg.read_bytes())
    assert RGB()(image) is image


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_turned_pictures_are_set_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"photo.{suffix}"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    noisy().save(path, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(path))
    image = read_image(path)
    assert image.size == ((48, 64) if orientation > 4 else (64, 48))
    assert image.tobytes() == upright.tobytes()
    # No orientation is left that could be applied again.
    assert image.getexif().get(ORIENTATION, 1) == 1


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("block", [b"Exif\0\0no TIFF header", b"Exif\0\0II*\0", b"xx"])
def test_a_malformed_exif_block_leaves_the_picture_unturned(
    tmp_path: Path, suffix: str, block: bytes
) -> None:
    path = tmp_path / f"photo.{suffix}"
    noisy().save(path, exif=block)
    assert read_image(path).size == (64, 48)
    assert examine(str(path)).problem is None


@pytest.mark.parametrize(
    ("mode", "suffix", "colour", "expected"),
    [
        ("L", "png", 90, (90, 90, 90)),
        ("1", "png", 1, (255, 255, 255)),
        ("LA", "png", (90, 255), (90, 90, 90)),
        ("LA", "png", (90, 0), (255, 255, 255)),
        ("RGBA", "png", (200, 0, 0, 255), (200, 0, 0)),
        ("RGBA", "png", (200, 0, 0, 0), (255, 255, 255)),
        ("RGBA", "webp", (0, 0, 0, 0), (255, 255, 255)),
        ("CMYK", "jpg", (0, 255, 255, 0), (254, 0, 0)),
        ("I;16", "png", 32896, (128, 128, 128)),
        ("I;16", "tif", 257, (1, 1, 1)),
        ("I", "tif", 65535, (255, 255, 255)),
    ],
)
def test_every_mode_becomes_rgb(
    tmp_path: Path, mode: str, suffix: str, colour: int, expected: tuple[int, int, int]
) -> None:
    path = tmp_path / f"photo.{suffix}"
    Image.new(mode, (20, 10), colour).save(path)
    image = read_image(path)
    assert (image.mode, image.size) == ("RGB", (20, 10))
    assert np.abs(np.subtract(image.getpixel((7, 7)), expected)).max() <= 1


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_a_palette_may_have_a_transparent_colour(tmp_path: Path, transparency: int | bytes) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "opaque.png")
    image.save(tmp_path / "clear.png", transparency=transparency)
    assert read_image(tmp_path / "opaque.png").getpixel((0, 0)) == (10, 20, 30)
    clear = read_image(tmp_path / "clear.png")
    assert (clear.getpixel((0, 0)), clear.getpixel((1, 0))) == ((255, 255, 255), (40, 50, 60))


@pytest.mark.parametrize(("mode", "value"), [("F", 0.5), ("I", 70000), ("I", -1)])
def test_pixels_without_a_known_range_are_refused(tmp_path: Path, mode: str, value: float) -> None:
    path = tmp_path / "depth.tif"
    Image.new(mode, (8, 8), value).save(path)
    with pytest.raises(ValueError, match=rf"\(mode {mode} has no known range; save it as 8 or"):
        read_image(path)
    assert "no known range" in str(examine(str(path)).problem)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone.jpg"
    with pytest.raises(FileNotFoundError, match=f"'{path}'; look in the attic"):
        read_image(path, "look in the attic")
    assert examine(str(path)) == Examination(str(path), "no such file")


def test_a_truncated_file_is_refused_and_never_filled_up(jpeg: Path) -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    cut(jpeg, jpeg.stat().st_size - 20)
    with pytest.raises(ValueError, match=rf"^Cannot read the image '{jpeg}' \(image file is trunc"):
        read_image(jpeg)


def test_a_folder_a_pipe_and_a_decompression_bomb_are_refused(
    jpeg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r" \(Is a directory\); "):
        read_image(jpeg.parent)
    os.mkfifo(jpeg.parent / "pipe.jpg")  # reading it would never end
    with pytest.raises(ValueError, match=r" \(not a regular file\); "):
        read_image(jpeg.parent / "pipe.jpg")
    assert examine(str(jpeg.parent / "pipe.jpg")).problem == "not a regular file"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match=r"exceeds limit of 200 pixels, could be decompression b"):
        read_image(jpeg)


@pytest.mark.parametrize("progressive", [False, True])
def test_examining_agrees_with_reading_wherever_a_jpeg_ends(
    tmp_path: Path, progressive: bool
) -> None:
    path = tmp_path / "photo.jpg"
    noisy().save(path, progressive=progressive)
    whole = path.stat().st_size
    assert examine(str(path)).problem is None
    for size in range(200, whole - 2, 97):
        cut(path, size)
        assert examine(str(path)).problem is not None
        with pytest.raises(ValueError, match=r"Cannot read"):
            read_image(path)
        noisy().save(path, progressive=progressive)


def test_examining_keeps_the_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.jpg" for i in range(11)]
    for i, path in enumerate(paths):
        photo(path, i)
    paths[6].unlink()
    results = list(examine_all([str(path) for path in paths]))
    assert [result.path for result in results] == [str(path) for path in paths]
    assert [i for i, result in enumerate(results) if result.problem] == [6]


def test_content_is_decoded_within_limits(jpeg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = jpeg.read_bytes()
    width, height = read_image(jpeg).size
    assert decode_image(content, width * height) == read_image(jpeg)
    sentence = f"^{width} × {height} pixels, more than {width * height - 1:,}$"
    with pytest.raises(TooManyPixels, match=sentence):
        decode_image(content, width * height - 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9)
    with pytest.raises(TooManyPixels, match=r"could be decompression bomb DOS attack$"):
        decode_image(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"P2\n1 1\n255\n" + b"#\n" * 50_000 + b"7", "a PPM written in plain text"),
        (b"P1\n1 1\n1", "a PPM written in plain text"),
        (b"P6\n0 0\n255\n", "not an image in a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image in a known format"),
        (b"", "not an image in a known format"),
        (b"<svg/>", "not an image in a known format"),
        (b"qoif\0\0\0\1\0\0\0\1\3\0" + b"\0" * 8, "not an image in a known format"),
    ],
)
def test_what_is_costly_unsafe_or_empty_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    def decoded(*arguments: object) -> None:
        raise AssertionError("its pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decoded)
    path = tmp_path / "photo.ppm"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_image(path)
    with pytest.raises(ValueError, match=reason):
        decode_image(content)
    assert reason in (examine(str(path)).problem or "")


@pytest.mark.parametrize(
    ("mode", "levels", "expected"),
    [("L", [0, 18, 19], [0, 255, 19]), ("I;16", [0, 4660, 4661], [0, 255, 18])],
)
def test_the_transparent_level_is_white(
    tmp_path: Path, mode: str, levels: list[int], expected: list[int]
) -> None:
    image = Image.new(mode, (3, 1))
    image.putdata(levels)
    image.save(tmp_path / "photo.png", transparency=levels[1])
    pixels = np.asarray(read_image(tmp_path / "photo.png"))
    assert pixels.tolist() == [[[level] * 3 for level in expected]]
