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
from gcahng.data.datasets.class_folders import PictureFile, labelled_pictures
from gcahng.files import printable, refuse_address
from gcahng.pictures import check_regular, decode_image, known_formats
from gcahng.reasons import refusal

THREADS = max(2, min(8, os.cpu_count() or 1))
# Side of a thumbnail in pixels: twice what pages show, for screens of high resolution.
THUMBNAIL = 192
JPEG_QUALITY = 82


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

    In a folder, classes and splits are those that a training with the data set `Folder` sees:
    see `labelled_pictures`. Hidden files and files that are not pictures are ignored in a folder;
    a file that is named itself is not. Of several paths that lead to a picture, the one that
    says its class counts, else the first.

    Args:
        paths: Files and folders.

    Raises:
        FileNotFoundError: If there is nothing at a path.
        OSError: If a folder cannot be read.
    """
    found: dict[str, PictureFile] = {}
    for path in map(Path, paths):
        refuse_address(path)
        whole = Path(os.path.abspath(path))
        if path.is_dir():
            inside = labelled_pictures(whole)
        elif path.exists():
            inside = [PictureFile(str(whole))]
        else:
            raise FileNotFoundError(f"there is no picture and no folder '{path}'")
        for file in inside:
            found[file.path] = found.get(file.path, file).or_finer(file)
    return list(found.values())


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
    known_formats()
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
        image = decode_image(content, shortest=shortest)
        small = thumbnail(image) if thumbnails else b""
        return ReadPicture(file, state, transform(image), small)
    except OSError as error:
        if refusal(error) is not None:
            raise  # The file may well be a picture.
        return Unreadable(file, error.strerror or str(error))
    except ValueError as error:
        return Unreadable(file, str(error))


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
