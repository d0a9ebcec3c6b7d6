"""Embed picture files: read several at a time, a batch at a time, in parts that can be written."""

import hashlib
import io
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gcahng.files import atomic_write, check_folder, csv_text, printable, refuse_address
from gcahng.inference.embedder import BATCH_SIZE, TrainedEmbedder
from gcahng.inference.images import FromAnyImage
from gcahng.inference.store import EmbeddedPicture
from gcahng.jobs.claim import exclusive_lock
from gcahng.pictures import (
    FileState,
    PictureFile,
    check_regular,
    decode_image,
    has_changed,
    known_formats,
)
from gcahng.reasons import install_extra, refusal

THREADS = max(2, min(8, os.cpu_count() or 1))
# Side of a thumbnail in pixels: twice what pages show, for screens of high resolution.
THUMBNAIL = 192
JPEG_QUALITY = 82
# Pictures, or seconds of embedding, after which a part is complete and can be written: this is
# the most that a process loses if it is killed.
PART, SECONDS = 512, 20.0
# The format of safetensors allows 100 MB; the rest is for splits and commas.
MOST_HEADER_BYTES = 75 * 10**6
COLUMNS = ("path", "label", "split")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Unreadable:
    """A file that is not a picture, and why."""

    file: PictureFile
    reason: str

    def __str__(self) -> str:
        return f"{printable(self.file.path)}: {self.reason}"


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
    from gcahng.data.datasets.class_folders import labelled_pictures  # not for `gcahng search`

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


def embed_in_parts(
    model: TrainedEmbedder,
    files: Sequence[PictureFile],
    unreadable: list[Unreadable],
    *,
    normalize: bool = False,
    known: Mapping[str, FileState] | None = None,
    thumbnails: bool = False,
    stop_at_unreadable: bool = False,
    progress: Progress | None = None,
    before: int = 0,
) -> Iterator[list[EmbeddedPicture]]:
    """Embed picture files in order, and collect them in parts.

    Args:
        model: The model.
        files: What to embed.
        unreadable: Files that cannot be read are added to it.
        normalize: Scale embeddings to L2 norm 1.
        known: States of files by path; a file with the content of its state is not embedded.
        thumbnails: Whether to make them.
        stop_at_unreadable: Raise at such a file, after the part before it.
        progress: Called with the number of files done, and of all.
        before: How many were done before.

    Raises:
        ValueError: At a file that cannot be read, if asked for.
    """
    part: list[EmbeddedPicture] = []
    began = time.monotonic()
    found = _embed_files(model, files, normalize, known or {}, thumbnails)
    for count, picture in enumerate(found, start=before + 1):
        if isinstance(picture, EmbeddedPicture):
            part.append(picture)
        else:
            unreadable.append(picture)
            if stop_at_unreadable:
                yield part
                raise ValueError(f"{picture}; repair it, or use --unreadable skip")
        if len(part) >= PART or time.monotonic() - began > SECONDS:
            yield part
            part, began = [], time.monotonic()
        if progress is not None:
            progress(count, before + len(files))
    yield part


def _embed_files(
    model: TrainedEmbedder,
    files: Sequence[PictureFile],
    normalize: bool,
    known: Mapping[str, FileState],
    thumbnails: bool,
) -> Iterator[EmbeddedPicture | Unreadable]:
    waiting: list[Read] = []
    for read in read_pictures(files, model.image_transform, known, thumbnails):
        waiting.append(read)
        if len(waiting) == BATCH_SIZE:
            yield from _embed(model, waiting, normalize)
            waiting = []
    yield from _embed(model, waiting, normalize)


def _embed(
    model: TrainedEmbedder, reads: "Sequence[Read]", normalize: bool
) -> Iterator[EmbeddedPicture | Unreadable]:
    vectors = iter(model.embed_each([inputs for _, inputs in reads if inputs is not None]))
    for picture, inputs in reads:
        if isinstance(picture, Unreadable) or inputs is None:
            yield picture
            continue
        vector = next(vectors)
        if vector.isfinite().all() and vector.any():
            yield replace(picture, vector=F.normalize(vector, dim=0) if normalize else vector)
        else:
            yield Unreadable(picture.file, "its embedding is not finite, or 0")


# A picture without its embedding, and the network's input; None: unreadable, or known.
Read = tuple[EmbeddedPicture | Unreadable, Tensor | None]


def read_pictures(
    files: Sequence[PictureFile],
    transform: FromAnyImage,
    known: Mapping[str, FileState],
    thumbnails: bool = False,
) -> Iterator[Read]:
    """Read, decode and transform pictures in parallel threads; results keep the order.

    Args:
        files: What to read.
        transform: From an upright RGB image to the network's input.
        known: States of files by path; a file with the content of its state is not decoded.
        thumbnails: Whether to make them.
    """
    known_formats()
    waiting: deque[Future[Read]] = deque()
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
    file: PictureFile, transform: FromAnyImage, known: FileState | None, thumbnails: bool
) -> Read:
    try:
        check_regular(file.path)
        # Before the content: a file that changes meanwhile differs from this state next time.
        status = os.stat(file.path)
        content = Path(file.path).read_bytes()
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        state = FileState(status.st_size, status.st_mtime_ns, digest)
        if known is not None and known.digest == digest:
            return EmbeddedPicture(file, state, None), None
        image = decode_image(content, shortest=transform.shortest_side)
        small = thumbnail(image) if thumbnails else b""
        return EmbeddedPicture(file, state, None, small), transform(image)
    except OSError as error:
        if refusal(error) is not None:
            raise  # The file may well be a picture.
        return Unreadable(file, error.strerror or str(error)), None
    except ValueError as error:
        return Unreadable(file, str(error)), None


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


def write_embeddings(
    model: TrainedEmbedder,
    files: Sequence[PictureFile],
    out: Path,
    *,
    normalize: bool = False,
    stop_at_unreadable: bool = False,
    progress: Progress | None = None,
) -> list[Unreadable]:
    """Embed picture files and write the embeddings into one file.

    What is done is kept in a hidden folder beside the file until the file is written; the next run
    with the same model takes it from there, except for pictures that have changed since.

    Args:
        model: The model.
        files: The pictures.
        out: By its ending: `.npy`, an array [N, D] in float32, with a `.csv` beside it that has the
            columns path, label and split of each row; `.safetensors`, a tensor `embeddings` with
            the same columns as JSON in the metadata; `.parquet`, these columns and `embedding`.
        normalize: Scale embeddings to L2 norm 1.
        stop_at_unreadable: Raise at a file that cannot be read, instead of leaving it out.
        progress: Called with the number of pictures done, and of all.

    Returns:
        The files that were left out because they cannot be read.

    Raises:
        ImportError: For `.parquet`, if pyarrow is not installed.
        ValueError: If the ending is another, there is no picture, or another process writes the
            same file.
    """
    unfinished = check_output(out)
    if not files:
        raise ValueError("there are no pictures at these paths")
    header = sum(len(json.dumps(file.path)) + len(json.dumps(file.label)) for file in files)
    if out.suffix == ".safetensors" and header > MOST_HEADER_BYTES:
        raise ValueError(
            f"--out: the paths of {len(files):,} pictures do not fit into a .safetensors file: "
            "choose .npy or .parquet"
        )
    key = {"model": model.fingerprint, "normalize": str(normalize)}
    with exclusive_lock(unfinished, out):
        done = _read_parts(unfinished, key)
        done = {
            file.path: done[file.path]
            for file in files
            if file.path in done and not has_changed(file, done[file.path][0])
        }
        todo = [file for file in files if file.path not in done]
        unreadable: list[Unreadable] = []
        parts = embed_in_parts(
            model,
            todo,
            unreadable,
            normalize=normalize,
            stop_at_unreadable=stop_at_unreadable,
            progress=progress,
            before=len(done),
        )
        for part in parts:
            _write_part(unfinished, part, key)
            done |= {p.file.path: (p.state, p.vector) for p in part if p.vector is not None}
        rows = [file for file in files if file.path in done]
        if not rows:
            raise ValueError(f"none of the {len(files)} files can be read, such as {unreadable[0]}")
        _write(out, rows, torch.stack([done[file.path][1] for file in rows]), key)
        shutil.rmtree(unfinished)
    return unreadable


def check_output(out: Path) -> Path:
    """Raise unless embeddings can be written to this file.

    Returns:
        The hidden folder that keeps what is done until the file is written.

    Raises:
        ImportError: For `.parquet`, if pyarrow is not installed.
        OSError: If it cannot be written there.
        FileExistsError: If a `.csv` that does not belong to it is beside a `.npy`.
        ValueError: If the ending is unknown.
    """
    if out.suffix not in (".npy", ".safetensors", ".parquet"):
        raise ValueError(
            f"--out: expected a file ending in .npy, .safetensors or .parquet, got '{out}'"
        )
    if out.suffix == ".parquet":
        _import_pyarrow()
    check_folder(out.parent, "--out")
    beside, unfinished = out.with_suffix(".csv"), out.with_name(f".{out.name}.unfinished")
    ours = out.exists() or unfinished.exists()
    if out.suffix == ".npy" and beside.exists() and not ours:
        raise FileExistsError(f"--out: '{beside}' is in the way: name another file")
    return unfinished


def _write_part(folder: Path, pictures: Sequence[EmbeddedPicture], key: dict[str, str]) -> None:
    vectors = [picture.vector for picture in pictures if picture.vector is not None]
    if not vectors:
        return
    states = [
        (picture.file.path, picture.state.size, picture.state.mtime_ns, picture.state.digest)
        for picture in pictures
    ]
    # A number that no earlier part has, also if earlier parts were left by a run that was killed.
    target = folder / f"{time.time_ns()}.safetensors"
    with atomic_write(target) as temporary:
        metadata = {**key, "pictures": json.dumps(states)}
        save_file({"vectors": torch.stack(vectors)}, temporary, metadata=metadata)


def _read_parts(folder: Path, key: dict[str, str]) -> dict[str, tuple[FileState, Tensor]]:
    """States and vectors by path of what earlier runs with the same model and settings left."""
    found: dict[str, tuple[FileState, Tensor]] = {}
    for path in sorted(folder.glob("[0-9]*.safetensors")):
        try:
            with safe_open(path, framework="pt") as part:
                metadata = part.metadata()
                if any(metadata.get(name) != value for name, value in key.items()):
                    path.unlink()
                    continue
                vectors = part.get_tensor("vectors")
        except SafetensorError:  # Damaged: its pictures are embedded again.
            path.unlink()
            continue
        for (name, *state), vector in zip(json.loads(metadata["pictures"]), vectors, strict=True):
            found[name] = (FileState(*state), vector)
    return found


def _write(
    out: Path, files: Sequence[PictureFile], embeddings: Tensor, key: dict[str, str]
) -> None:
    columns = {
        "path": [printable(file.path) for file in files],
        "label": [file.label for file in files],
        "split": [file.split for file in files],
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    with ExitStack() as stack:
        temporary = stack.enter_context(atomic_write(out))
        if out.suffix == ".npy":
            np.save(temporary, embeddings.numpy())
            # Put in place before the vectors, which are gone by then: those that are there, at any
            # moment, are those of the rows.
            beside = stack.enter_context(atomic_write(out.with_suffix(".csv")))
            beside.write_bytes(csv_text(rows, COLUMNS).encode())
            out.unlink(missing_ok=True)
        elif out.suffix == ".safetensors":
            metadata = {name: json.dumps(values) for name, values in columns.items()}
            save_file({"embeddings": embeddings}, temporary, metadata=key | metadata)
        else:
            pa, parquet = _import_pyarrow()
            flat = pa.array(embeddings.numpy().ravel())
            vectors = pa.FixedSizeListArray.from_arrays(flat, embeddings.shape[1])
            strings = {name: pa.array(values, pa.string()) for name, values in columns.items()}
            parquet.write_table(pa.table({**strings, "embedding": vectors}), os.fspath(temporary))


def _import_pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            f"--out: .parquet needs pyarrow, which is not installed: {install_extra('search')}"
        ) from error
    return pyarrow, pyarrow.parquet
