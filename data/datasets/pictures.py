"""Picture files: which files are pictures, and reading one as upright RGB."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, features

SUFFIXES = frozenset(
    (
        *(".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
        # Where this Pillow was built with it.
        *((".avif",) if "avif" in features.get_supported_modules() else ()),
    )
)
# `ImageOps.exif_transpose` also writes the EXIF block anew, which fails on many a camera's block.
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
THREADS = max(2, min(8, os.cpu_count() or 1))
BATCH = 1024


def read_image(path: str | Path, advice: str = "mend it or choose another") -> Image.Image:
    """Read a picture file as upright 8-bit RGB.

    A turned picture is set upright as its EXIF orientation says, transparent pixels are laid on
    white, and 16-bit grey is brought to 8 bits. Everything is decoded: a truncated file is refused.

    Args:
        path: Any format that Pillow reads; of an animation the first picture.
        advice: The way out, for the messages.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            return _turn(_rgb(image), _orientation(image))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no image '{path}'; {advice}.") from error
    # Pillow's decoders raise whatever they stumble over, from SyntaxError to struct.error.
    except Exception as error:
        raise ValueError(f"Cannot read the image '{path}' ({_reason(error)}); {advice}.") from error


@dataclass(frozen=True)
class Examination:
    """What became of decoding one picture file.

    Attributes:
        path: The file.
        missing: Whether there is no such file.
        problem: Why it cannot be read, or None where it can.
        turned: Whether its EXIF orientation is other than upright.
    """

    path: str
    missing: bool = False
    problem: str | None = None
    turned: bool = False


def examine(path: str) -> Examination:
    """Decode a picture and forget it."""
    try:
        with Image.open(path) as image:
            # At an eighth of its size a JPEG is read to its end all the same, in half the time.
            image.draft(None, (1, 1))
            _rgb(image)
            return Examination(path, turned=_orientation(image) in TURNS)
    except FileNotFoundError:
        return Examination(path, missing=True, problem="no such file")
    except Exception as error:  # As in `read_image`.
        return Examination(path, problem=_reason(error))


def examine_all(paths: Sequence[str]) -> Iterator[Examination]:
    """Examine pictures in their order, several at once: Pillow decodes outside Python's lock."""
    remaining = iter(paths)
    # Pillow loads its formats when first asked for one, and threads that ask together may miss it.
    Image.init()
    with ThreadPoolExecutor(THREADS) as pool:
        # A pool queues all it is given, and a data set has a hundred thousand paths.
        while batch := list(islice(remaining, BATCH)):
            yield from pool.map(examine, batch)


def picture_files(folder: Path) -> tuple[list[str], Counter[str]]:
    """Return the pictures in a folder and its subfolders, sorted; hidden ones do not count.

    Returns:
        Their paths, and how many other files there are of each suffix.
    """
    found: list[str] = []
    others: Counter[str] = Counter()
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        # A link that leads back up would be followed for ever.
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [os.path.join(place, name) for name in sorted(files) if is_picture(name)]
        shown = (name for name in files if not name.startswith("."))
        others.update(_suffix(name) for name in shown if not is_picture(name))
    return found, others


def is_picture(name: str) -> bool:
    """Whether a file's name is a picture's, of whatever case; hidden files are none."""
    return not name.startswith(".") and _suffix(name) in SUFFIXES


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not a picture in a known format"
    # The system's own words, without the path that the sentence has already.
    words = getattr(error, "strerror", None) or str(error)
    return words.rstrip(".") or type(error).__name__


def _orientation(image: Image.Image) -> int:
    return image.getexif().get(ExifTags.Base.Orientation, 1)


def _turn(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    rgb = image.convert("RGB")
    # An orientation left in there would turn the picture once more wherever it is honoured.
    rgb.info = {}
    return rgb


def _eight_bits(image: Image.Image) -> Image.Image:
    """Bring 16-bit grey to 8 bits by its full range, so that a tone means the same everywhere."""
    levels = np.asarray(image)
    if image.mode == "F" or levels.min() < 0 or levels.max() > FULL_16_BITS:
        raise ValueError(f"mode {image.mode} has no known range; save it with 8 or 16 bits")
    return Image.fromarray((levels.astype(np.uint32) * 255 // FULL_16_BITS).astype(np.uint8))
