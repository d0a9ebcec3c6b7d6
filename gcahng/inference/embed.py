"""Embed picture files, a batch at a time while the next one is read."""

import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gcahng.files import atomic_write, check_file, csv_text, printable
from gcahng.inference.embedder import BATCH_SIZE, TrainedEmbedder
from gcahng.inference.images import FromAnyImage
from gcahng.inference.store import EmbeddedPicture
from gcahng.pictures import (
    THREADS,
    FileState,
    PictureFile,
    decode_image,
    file_state,
    known_formats,
    read_regular,
)
from gcahng.reasons import refusal

# Side of a thumbnail in pixels: twice what pages show, for screens of high resolution.
THUMBNAIL = 192
JPEG_QUALITY = 82
# Pictures that are written together: the most that a process loses if it is killed.
PART = 512
COLUMNS = ("path", "label", "split")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Unreadable:
    """A file that is not a picture, and why."""

    file: PictureFile
    reason: str

    def __str__(self) -> str:
        return f"{printable(self.file.path)}: {self.reason}"


class ReadPicture(NamedTuple):
    """A picture file with the network's input."""

    file: PictureFile
    state: FileState
    inputs: Tensor
    thumbnail: bytes


def find_pictures(paths: Iterable[str | Path]) -> list[PictureFile]:
    """Find picture files, in the order of the paths, each once.

    In a folder, classes and splits are those that a training with the data set `Folder` sees:
    see `labelled_pictures`. Hidden files and files that are not pictures are ignored in a folder;
    a file that is named itself is not.

    Raises:
        FileNotFoundError: If there is nothing at a path.
        OSError: If a folder cannot be read.
    """
    from gcahng.data.datasets.class_folders import labelled_pictures  # not for `gcahng search`

    found: dict[str, PictureFile] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"there is no picture and no folder '{path}'")
        whole = Path(os.path.abspath(path))
        inside = labelled_pictures(whole) if path.is_dir() else [PictureFile(str(whole))]
        for file in inside:
            found.setdefault(file.path, file)
    return list(found.values())


def embed_in_parts(
    model: TrainedEmbedder,
    files: Sequence[PictureFile],
    unreadable: list[Unreadable],
    *,
    thumbnails: bool = False,
    progress: Progress | None = None,
) -> Iterator[list[EmbeddedPicture]]:
    """Embed picture files in order, in parts of at least `PART`; list those that cannot be read."""
    part: list[EmbeddedPicture] = []
    done = 0
    for batch in read_pictures(files, model.transform, thumbnails):
        read = [picture for picture in batch if isinstance(picture, ReadPicture)]
        unreadable += [picture for picture in batch if isinstance(picture, Unreadable)]
        for picture, vector in zip(read, model.embed_each([r.inputs for r in read]), strict=True):
            if not (vector.isfinite().all() and vector.any()):
                unreadable.append(Unreadable(picture.file, "its embedding is not finite, or 0"))
                continue
            part.append(EmbeddedPicture(picture.file, picture.state, vector, picture.thumbnail))
        if len(part) >= PART:
            yield part
            part = []
        done += len(batch)
        if progress is not None:
            progress(done, len(files))
    yield part


def read_pictures(
    files: Sequence[PictureFile], transform: FromAnyImage, thumbnails: bool = False
) -> Iterator[list[ReadPicture | Unreadable]]:
    """Read, decode and transform pictures in threads, a batch ahead; batches keep the order."""
    known_formats()
    read = partial(_read, transform=transform, thumbnails=thumbnails)
    waiting: deque[Iterator[ReadPicture | Unreadable]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(files), BATCH_SIZE):
            waiting.append(pool.map(read, files[start : start + BATCH_SIZE]))
            if len(waiting) > 1:
                yield list(waiting.popleft())
        yield from map(list, waiting)


def _read(file: PictureFile, transform: FromAnyImage, thumbnails: bool) -> ReadPicture | Unreadable:
    try:
        # Before the content: a file that changes meanwhile differs from this state next time.
        state = file_state(file.path)
        image = decode_image(read_regular(file.path), shortest=transform.shortest_side)
        small = thumbnail(image) if thumbnails else b""
        return ReadPicture(file, state, transform(image), small)
    except (OSError, ValueError) as error:
        if refusal(error) is not None:
            raise  # The file may well be a picture.
        return Unreadable(file, getattr(error, "strerror", None) or str(error))


def thumbnail(image: Image.Image) -> bytes:
    """Make a small JPEG of an RGB image."""
    small = image.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, format="JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def write_embeddings(
    model: TrainedEmbedder,
    files: Sequence[PictureFile],
    out: Path,
    *,
    progress: Progress | None = None,
) -> list[Unreadable]:
    """Embed picture files into `.npy`, [N, D] in float32, and a `.csv` with path, label and split.

    Returns:
        The files that were left out because they cannot be read.
    """
    check_output(out)
    if not files:
        raise ValueError("there are no pictures at these paths")
    unreadable: list[Unreadable] = []
    parts = embed_in_parts(model, files, unreadable, progress=progress)
    pictures = list(chain.from_iterable(parts))
    if not pictures:
        raise ValueError(f"none of the {len(files)} files can be read, such as {unreadable[0]}")
    rows = [{**vars(one.file), "path": printable(one.file.path)} for one in pictures]
    with atomic_write(out) as vectors, atomic_write(out.with_suffix(".csv")) as table:
        np.save(vectors, torch.stack([picture.vector for picture in pictures]).numpy())
        table.write_bytes(csv_text(rows, COLUMNS).encode())
        # The vectors that are there, at any moment, are those of the rows.
        out.unlink(missing_ok=True)
    return unreadable


def check_output(out: Path) -> None:
    """Raise an OSError or a ValueError unless embeddings can be written to this file."""
    check_file(out, "--out", (".npy",))
    table = out.with_suffix(".csv")
    if table.exists() and not out.exists():
        raise FileExistsError(f"--out: '{table}' is in the way: name another file")
