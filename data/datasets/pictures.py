"""Image files: find them in folders, and read one as upright 8-bit RGB."""

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
        # Only if Pillow was built with AVIF support.
        *((".avif",) if "avif" in features.get_supported_modules() else ()),
    )
)
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
THREADS = max(2, min(8, os.cpu_count() or 1))
BATCH = 1024


def read_image(path: str | Path, advice: str = "repair it or choose another") -> Image.Image:
    """Read an image file as upright 8-bit RGB.

    The image is rotated according to its EXIF orientation, transparent pixels are composited on
    white, and 16-bit grey is converted to 8 bits. The file is decoded completely.

    Args:
        path: A file in any format that Pillow reads; of an animation, the first frame is used.
        advice: Ends the error message with what the user can do.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be decoded, for instance because it is truncated.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "transparent.png")
        ...     Image.new("RGBA", (4, 2)).save(path)
        ...     image = read_image(path)
        >>> image.mode, image.size, image.getpixel((0, 0))
        ('RGB', (4, 2), (255, 255, 255))
    """
    try:
        with Image.open(path) as image:
            return _turn(_rgb(image), _orientation(image))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no image '{path}'; {advice}.") from error
    # Pillow's decoders raise many exception types, from SyntaxError to struct.error.
    except Exception as error:
        raise ValueError(f"Cannot read the image '{path}' ({_reason(error)}); {advice}.") from error


@dataclass(frozen=True)
class Examination:
    """The result of decoding one image file.

    Attributes:
        path: The file.
        missing: Whether the file is missing.
        problem: Why it cannot be read; None if it can.
        turned: Whether its EXIF orientation is other than upright.
    """

    path: str
    missing: bool = False
    problem: str | None = None
    turned: bool = False


def examine(path: str) -> Examination:
    """Decode an image file to check it, without keeping the pixels."""
    try:
        with Image.open(path) as image:
            # Decoding a JPEG at 1/8 of its size still reads the whole file, in half the time.
            image.draft(None, (1, 1))
            _rgb(image)
            return Examination(path, turned=_orientation(image) in TURNS)
    except FileNotFoundError:
        return Examination(path, missing=True, problem="no such file")
    except Exception as error:  # As in `read_image`.
        return Examination(path, problem=_reason(error))


def examine_all(paths: Sequence[str]) -> Iterator[Examination]:
    """Examine files in parallel threads (Pillow releases the GIL); results keep the order."""
    remaining = iter(paths)
    # Pillow registers its formats on first use, which is not thread-safe.
    Image.init()
    with ThreadPoolExecutor(THREADS) as pool:
        # In batches, because `map` queues all its inputs and data sets have 100,000 files.
        while batch := list(islice(remaining, BATCH)):
            yield from pool.map(examine, batch)


def picture_files(folder: Path) -> tuple[list[str], Counter[str]]:
    """List the image files in a folder and its subfolders, sorted, without hidden files.

    Returns:
        The paths of the image files, and the number of other files by suffix.
    """
    found: list[str] = []
    others: Counter[str] = Counter()
    seen: set[str] = set()
    for current, folders, files in os.walk(folder, followlinks=True):
        # Visit each real folder once, because links can form cycles.
        if (real := os.path.realpath(current)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [os.path.join(current, name) for name in sorted(files) if is_picture(name)]
        visible = (name for name in files if not name.startswith("."))
        others.update(_suffix(name) for name in visible if not is_picture(name))
    return found, others


def is_picture(name: str) -> bool:
    """Whether a file name has the suffix of an image (in any case) and is not hidden."""
    return not name.startswith(".") and _suffix(name) in SUFFIXES


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image in a known format"
    # `strerror` lacks the path, which the error message already contains.
    reason = getattr(error, "strerror", None) or str(error)
    return reason.rstrip(".") or type(error).__name__


def _orientation(image: Image.Image) -> int:
    return image.getexif().get(ExifTags.Base.Orientation, 1)


def _turn(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        background = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(background, image.convert("RGBA"))
    rgb = image.convert("RGB")
    # Remove the EXIF orientation so that no other code rotates the image again.
    rgb.info = {}
    return rgb


def _eight_bits(image: Image.Image) -> Image.Image:
    """Convert 16-bit grey to 8 bits, mapping the full range so that all images share one scale."""
    levels = np.asarray(image)
    if image.mode == "F" or levels.min() < 0 or levels.max() > FULL_16_BITS:
        raise ValueError(f"mode {image.mode} has no known range; save it as 8 or 16 bits")
    return Image.fromarray((levels.astype(np.uint32) * 255 // FULL_16_BITS).astype(np.uint8))
