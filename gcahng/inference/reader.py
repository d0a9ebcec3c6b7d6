"""Find picture files, and read them several at a time."""

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from PIL import Image
from torch import Tensor

from gcahng.data.datasets.base import shortest_side
from gcahng.data.datasets.class_folders import picture_files
from gcahng.data.datasets.folder import VALIDATION
from gcahng.data.datasets.pictures import check_regular, decode_image
from gcahng.files import printable
from gcahng.reasons import refusal

# What cameras and browsers write. For some other formats Pillow runs programs that are not safe for
# files of strangers, such as Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
THREADS = max(2, min(8, os.cpu_count() or 1))
# Side of a thumbnail in pixels: twice what pages show, for screens of high resolution.
THUMBNAIL = 192
JPEG_QUALITY = 82


@dataclass(frozen=True)
class PictureFile:
    """A picture file as its folder tells.

    Attributes:
        path: Absolute.
        label: Name of its class, the folder that it is in; None outside of such a folder.
        split: `train`, `val` or `test`, if the folder is divided so.
    """

    path: str
    label: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class FileState:
    """What tells whether a file has changed.

    Attributes:
        size: In bytes.
        mtime_ns: Time of the last change, in nanoseconds.
        digest: A hash of its content.
    """

    size: int
    mtime_ns: int
    digest: str


@dataclass(frozen=True)
class ReadPicture:
    """A picture that has been read.

    Attributes:
        file: Where it is.
        state: The file's state when it was read.
        inputs: The network's input [C, H, W]; None if the content is `known`.
        thumbnail: A small JPEG; empty unless asked for.
    """

    file: PictureFile
    state: FileState
    inputs: Tensor | None
    thumbnail: bytes = b""


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture file with its embedding.

    Attributes:
        file: Where it is.
        state: The file's state when it was read.
        vector: The embedding [D] in float32; None if the content was known.
        thumbnail: A small JPEG; empty unless asked for.
    """

    file: PictureFile
    state: FileState
    vector: Tensor | None
    thumbnail: bytes = b""


@dataclass(frozen=True)
class Unreadable:
    """A file that is not a picture, and why."""

    file: PictureFile
    reason: str

    def __str__(self) -> str:
        return f"{printable(self.file.path)}: {self.reason}"


def has_changed(file: PictureFile, before: FileState | None) -> bool:
    """Whether a file is new, or its size or time of change differ from an earlier state."""
    if before is None:
        return True
    try:
        status = os.stat(file.path)
    except OSError:
        return True
    return (status.st_size, status.st_mtime_ns) != (before.size, before.mtime_ns)


Transform: TypeAlias = Callable[[Image.Image], Tensor]


def find_pictures(paths: Iterable[str | Path]) -> list[PictureFile]:
    """Find picture files, in the order of the paths, each once.

    In a folder, a picture's class is the first folder below it, or the second if the first is a
    split: if the folder has `train/` and `test/`, these and `val/` are splits. Hidden files and
    files that are not pictures are ignored in a folder; a file that is named itself is not.

    Args:
        paths: Files and folders.

    Raises:
        FileNotFoundError: If there is nothing at a path.
        OSError: If a folder cannot be read.
    """
    found: dict[str, PictureFile] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside = _in_folder(path)
        elif path.exists():
            inside = [PictureFile(os.path.abspath(path))]
        else:
            raise FileNotFoundError(f"there is no picture and no folder '{path}'")
        for file in inside:
            found.setdefault(file.path, file)
    return list(found.values())


def _in_folder(folder: Path) -> list[PictureFile]:
    root = os.path.abspath(folder)
    splits = {}
    if all((folder / name).is_dir() for name in ("train", "test")):
        splits = {"train": "train", "test": "test", **dict.fromkeys(VALIDATION, "val")}
    files = []
    for path in picture_files(Path(root))[0]:
        *folders, _ = os.path.relpath(path, root).split(os.sep)
        split = splits.get(folders[0]) if folders else None
        if split is not None:
            folders = folders[1:]
        files.append(PictureFile(path, printable(folders[0]) if folders else None, split))
    return files


def read_pictures(
    files: Sequence[PictureFile],
    transform: Transform,
    *,
    known: Mapping[str, FileState] | None = None,
    thumbnails: bool = False,
) -> Iterator[ReadPicture | Unreadable]:
    """Read, decode and transform pictures in parallel threads; results keep the order.

    Args:
        files: What to read.
        transform: From an upright RGB image to the network's input.
        known: States of files by path; a file with the content of its state is not decoded.
        thumbnails: Whether to make them.
    """
    known = known or {}
    # Pillow registers its formats on first use, which is not thread-safe.
    Image.init()
    waiting: deque[Future[ReadPicture | Unreadable]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for file in files:
                state = known.get(file.path)
                waiting.append(pool.submit(_read, file, transform, state, thumbnails))
                # Not more at a time, because decoded pictures are large.
                if len(waiting) >= 4 * THREADS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _read(
    file: PictureFile, transform: Transform, known: FileState | None, thumbnails: bool
) -> ReadPicture | Unreadable:
    try:
        check_regular(file.path)
        # Before the content: a file that changes meanwhile differs from this state next time.
        status = os.stat(file.path)
        content = Path(file.path).read_bytes()
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        state = FileState(status.st_size, status.st_mtime_ns, digest)
        if known is not None and known.digest == digest:
            return ReadPicture(file, state, None)
        shortest = shortest_side(transform)
        image = decode_image(content, formats=known_formats(), shortest=shortest)
        small = thumbnail(image) if thumbnails else b""
        return ReadPicture(file, state, transform(image), small)
    except OSError as error:
        if refusal(error) is not None:
            raise  # The file may well be a picture.
        return Unreadable(file, error.strerror or str(error))
    except ValueError as error:
        return Unreadable(file, str(error))


def known_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def thumbnail(image: Image.Image) -> bytes:
    """Make a small JPEG of an RGB image.

    Example:
        >>> Image.open(io.BytesIO(thumbnail(Image.new("RGB", (400, 200))))).size
        (192, 96)
    """
    small = image.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, format="JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
