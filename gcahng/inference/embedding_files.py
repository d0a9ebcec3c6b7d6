"""Write the embeddings of picture files into one file; a run that was stopped goes on."""

import json
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gcahng.files import atomic_write, check_folder, printable
from gcahng.inference.embed_files import Progress, embed_files, in_parts
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.reader import (
    EmbeddedPicture,
    FileState,
    PictureFile,
    Unreadable,
    has_changed,
)
from gcahng.jobs.claim import exclusive_lock
from gcahng.runs.csv_rows import csv_text

# The format allows 100 MB; the rest is for splits and commas.
MOST_HEADER_BYTES = 75 * 10**6
COLUMNS = ("path", "label", "split")


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
        found = embed_files(model, todo, normalize=normalize)
        parts = in_parts(
            found,
            unreadable,
            stop_at_unreadable=stop_at_unreadable,
            progress=progress,
            done=len(done),
            total=len(files),
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
            '--out: .parquet needs pyarrow, which is not installed: pip install "gcahng[search]"'
        ) from error
    return pyarrow, pyarrow.parquet
