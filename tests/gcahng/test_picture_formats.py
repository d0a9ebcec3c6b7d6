"""Which files are decoded: pictures in common formats, and none that is costly or unsafe."""

from pathlib import Path

import pytest
from PIL import Image, ImageFile

from gcahng.data import read_image
from gcahng.pictures import decode_image, examine


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


@pytest.mark.parametrize("start", [b"P6\n2 1\n255\n", b"P6 #c\n2 1 127\n"])
def test_a_binary_ppm_is_read(start: bytes) -> None:
    assert decode_image(start + b"\0" * 6) == Image.new("RGB", (2, 1))
