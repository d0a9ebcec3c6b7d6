"""Read an image file as upright 8-bit RGB, or examine it."""

import hashlib
import io
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image

# What cameras, scanners and browsers write. For some other formats Pillow runs programs, such as
# Ghostscript, that are not safe for files of strangers.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
# Not `ImageOps.exif_transpose`: it also rewrites the EXIF block, which fails for some cameras.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
FULL_16_BITS = 65535
# By what Pillow multiplies the levels of a PNG of fewer than 8 bits, but not its transparent level.
FEWER_BITS = {"L;2": 85, "L;4": 17}
THREADS = max(2, min(8, os.cpu_count() or 1))


@cache
def known_formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this Pillow reads; call it before threads open pictures.

    Pillow registers its formats on first use, which is not thread-safe.
    """
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def open_picture(file: str | Path | IO[bytes]) -> Image.Image:
    """Open a picture in one of `FORMATS`, as every file is; its pixels are decoded when needed."""
    image = Image.open(file, formats=known_formats())
    # One MiB of it can take Pillow 20 seconds.
    if any(tile[0] == "ppm_plain" for tile in image.tile):
        image.close()
        raise ValueError("a PPM written in plain text: save it as PNG or as binary PPM")
    return image


def read_image(
    path: str | Path, advice: str = "repair it or choose another", shortest: int | None = None
) -> Image.Image:
    """Read an image file as upright 8-bit RGB.

    The image is rotated according to its EXIF orientation (if the EXIF block is intact),
    transparent pixels are composited on white, and 16-bit grey is converted to 8 bits. The file is
    decoded completely.

    Args:
        path: A file in one of `FORMATS`; of an animation, the first frame is used.
        advice: Ends the error message with what the user can do.
        shortest: Decode a JPEG at 1/2, 1/4 or 1/8 of its size, the smallest at which its shorter
            side has at least so many pixels. None, and other formats: at full size.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be decoded, for instance because it is truncated.

    Example:
        >>> Image.new("RGBA", (4, 2)).save("transparent.png")
        >>> read_image("transparent.png").getpixel((0, 0))
        (255, 255, 255)
    """
    try:
        return decode_image(read_regular(path), shortest=shortest)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no image '{path}'; {advice}.") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"Cannot read the image '{path}' ({_reason(error)}); {advice}.") from error


class TooManyPixels(ValueError):
    """An image is larger than allowed; it has not been decoded."""


def decode_image(
    content: bytes, most_pixels: int | None = None, shortest: int | None = None
) -> Image.Image:
    """Decode the content of an image file as upright 8-bit RGB, as `read_image` does.

    Raises:
        TooManyPixels: If it is larger than `most_pixels`, or than Pillow decodes.
        ValueError: With the reason why it cannot be decoded.
    """
    try:
        with open_picture(io.BytesIO(content)) as image:
            width, height = image.size
            if most_pixels is not None and width * height > most_pixels:
                raise TooManyPixels(f"{width} × {height} pixels, more than {most_pixels:,}")
            upright = upright_rgb(image, shortest)
            # Else comments and profiles, some of other colours, would be saved with thumbnails.
            upright.info = {}
            return upright
    except TooManyPixels:
        raise
    except Image.DecompressionBombError as error:
        raise TooManyPixels(_reason(error)) from error
    # Pillow's decoders raise many exception types, from SyntaxError to struct.error.
    except Exception as error:
        raise ValueError(_reason(error)) from error


def upright_rgb(image: Image.Image, shortest: int | None = None) -> Image.Image:
    """Return an image as 8-bit RGB on white, rotated according to its EXIF orientation.

    One that is all of this already is not copied, which takes a fifth of the time of reading it.
    A ValueError if its mode has no known range, or it has no pixels.
    """
    if 0 in image.size:
        raise ValueError(f"it has {image.width} × {image.height} pixels")
    if shortest is not None:
        # It has an effect on JPEGs only, whose decoder can compute a smaller image directly.
        image.draft(None, (shortest, shortest))
    rgb, orientation = _rgb(image), _orientation(image)
    if orientation not in TURNS:
        return rgb
    turned = rgb.transpose(TURNS[orientation])
    # No orientation is left that other code could apply again.
    turned.info = {}
    turned.getexif().pop(ExifTags.Base.Orientation, None)
    return turned


@dataclass(frozen=True)
class PictureFile:
    """A picture file, and its class and split (`train`, `val` or `test`) as its folder tells."""

    path: str
    label: str | None = None
    split: str | None = None

    def or_finer(self, other: "PictureFile") -> "PictureFile":
        """Return `other` if it says all that this one says of the same picture, else this one."""
        says_all = self.label in (None, other.label) and self.split in (None, other.split)
        return other if says_all else self


@dataclass(frozen=True)
class FileState:
    """What tells whether a file has changed: its size in bytes, and time of the last change."""

    size: int
    mtime_ns: int


def file_state(path: str) -> FileState:
    """Return the state of a file; an OSError if there is none."""
    status = os.stat(path)
    return FileState(status.st_size, status.st_mtime_ns)


class Examination(NamedTuple):
    """A decoded file: why it cannot be read, if so, else a hash of its content."""

    path: str
    problem: str | None = None
    digest: bytes | None = None


def examine(path: str) -> Examination:
    """Decode an image file to check it, without keeping the pixels."""
    try:
        content = read_regular(path)
        # Decoding a JPEG at 1/8 of its size still reads the whole file, in half the time.
        decode_image(content, shortest=1)
        return Examination(path, None, hashlib.blake2b(content).digest())
    except FileNotFoundError:
        return Examination(path, "no such file")
    except (OSError, ValueError) as error:
        return Examination(path, _reason(error))


def examine_all(paths: Sequence[str]) -> Iterator[Examination]:
    """Examine files in parallel threads (Pillow releases the GIL); results keep the order."""
    known_formats()
    with ThreadPool(THREADS) as pool:
        yield from pool.imap(examine, paths)


def read_regular(path: str | Path) -> bytes:
    """Read a file, but no pipe or device, which may never end; a folder is an OSError."""
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError("not a regular file")
    return Path(path).read_bytes()


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image in a known format"
    # `strerror` lacks the path, which the error message already contains.
    reason = getattr(error, "strerror", None) or str(error)
    return reason.rstrip(".") or type(error).__name__


def _orientation(image: Image.Image) -> int | None:
    # The pixels of an image with a malformed EXIF block are intact. Pillow ignores such a block
    # in a JPEG, and raises many exception types in other formats.
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:
        return None


def _rgb(image: Image.Image) -> Image.Image:
    """Return the image itself, decoded, if it is opaque 8-bit RGB, else a copy."""
    clear = _transparency(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image, clear)
    elif clear != image.info.get("transparency"):
        # In place: once its pixels are loaded, an image does not tell the bits of its file.
        image.info["transparency"] = clear
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        background = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(background, image.convert("RGBA"))
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


def _transparency(image: Image.Image) -> Any:
    """The transparent level or colour of an image as its pixels have it, if there is one.

    Pillow gives that of a PNG in the bits of the file. Of colours of 16 bits it keeps the upper 8.
    """
    clear = image.info.get("transparency")
    tile = getattr(image, "tile", None)
    bits = tile[0][3] if tile and image.format == "PNG" else None
    if clear is None or bits not in (*FEWER_BITS, "RGB;16B"):
        return clear
    return tuple(v >> 8 for v in clear) if bits == "RGB;16B" else clear * FEWER_BITS[bits]


def _eight_bits(image: Image.Image, clear: int | None) -> Image.Image:
    """Convert 16-bit grey to 8 bits on one scale for all images; the level `clear` gets white."""
    levels = np.asarray(image)
    if image.mode == "F" or levels.min() < 0 or levels.max() > FULL_16_BITS:
        raise ValueError(f"mode {image.mode} has no known range; save it as 8 or 16 bits")
    pixels = (levels.astype(np.uint32) * 255 // FULL_16_BITS).astype(np.uint8)
    if clear is not None:
        pixels[levels == clear] = 255
    return Image.fromarray(pixels)
