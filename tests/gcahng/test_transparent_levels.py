"""A PNG may name one level or colour that is transparent, which becomes white."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gcahng.pictures import read_image, upright_rgb

GREY, COLOUR, PALETTE = 0, 2, 3


def png(bits: int, kind: int, row: bytes, width: int, clear: bytes, palette: bytes = b"") -> bytes:
    """A file of one row of pixels, whose `tRNS` chunk is `clear`."""
    pixels = zlib.compress(b"\0" + row)
    header = struct.pack(">IIBBBBB", width, 1, bits, kind, 0, 0, 0)
    chunks = {
        b"IHDR": header,
        b"PLTE": palette,
        b"tRNS": clear,
        b"IDAT": pixels,
    }
    text = b"\x89PNG\r\n\x1a\n"
    for name, content in {**chunks, b"IEND": b""}.items():
        if content or name == b"IEND":
            check = struct.pack(">I", zlib.crc32(name + content))
            text += struct.pack(">I", len(content)) + name + content + check
    return text


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


FILES = {
    "grey of 16 bits": (png(16, GREY, words(0, 4660, 4661), 3, words(4660)), [0, 255, 18]),
    "black of 16 bits": (png(16, GREY, words(0, 4660, 4661), 3, words(0)), [255, 18, 18]),
    "grey of 8 bits": (png(8, GREY, bytes([0, 18, 19]), 3, words(18)), [0, 255, 19]),
    "grey of 4 bits": (png(4, GREY, bytes([0x0F, 0x35]), 4, words(3)), [0, 255, 255, 85]),
    "grey of 2 bits": (png(2, GREY, bytes([0b00011011]), 4, words(1)), [0, 255, 170, 255]),
    "grey of 1 bit": (png(1, GREY, bytes([0b01000000]), 2, words(0)), [255, 255]),
    "colour of 8 bits": (png(8, COLOUR, bytes([1, 2, 3, 4, 4, 4]), 2, words(1, 2, 3)), [255, 4]),
    "colour of 16 bits": (
        png(16, COLOUR, words(256, 512, 768, 1, 2, 3, 1024, 1024, 1024), 3, words(256, 512, 768)),
        [255, 0, 4],
    ),
    "palette": (png(8, PALETTE, bytes([0, 1]), 2, bytes([0, 255]), bytes([9] * 6)), [255, 9]),
}


@pytest.mark.parametrize("name", FILES)
def test_the_transparent_level_is_white(tmp_path: Path, name: str) -> None:
    content, expected = FILES[name]
    (tmp_path / "photo.png").write_bytes(content)
    pixels = np.asarray(read_image(tmp_path / "photo.png"))
    assert pixels.tolist() == [[[level] * 3 for level in expected]]
    with Image.open(tmp_path / "photo.png") as image:
        for _ in range(2):
            assert np.array_equal(np.asarray(upright_rgb(image)), pixels)
