"""The rows of a store: one for each picture."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gcahng.files import printable
from gcahng.inference.reader import EmbeddedPicture, FileState, PictureFile

METADATA = b"gcahng"
# Of the columns, and of what a fingerprint is made of.
FORMAT = 2
FILE_COLUMNS = ("file", "label", "split", "size", "mtime_ns", "digest")
SHOWN = ("id", "path", "label", "split")


@dataclass(frozen=True)
class StoreModel:
    """The model that a store's vectors come from.

    Attributes:
        source: Where it was opened from: a path, a name on the Hub, or that of a backbone.
        fingerprint: Of what decides its embeddings, see `TrainedEmbedder`.
        dim: Dimension D of its embeddings.
        weights: Of a backbone: the file or package with its weights; None: those of its library.
    """

    source: str
    fingerprint: str
    dim: int
    weights: str | None = None

    def to_json(self) -> bytes:
        """Describe the model for `read_model`."""
        return json.dumps({"format": FORMAT, **asdict(self)}).encode()


def read_model(metadata: Mapping[bytes, bytes], uri: str) -> StoreModel:
    """Read which model a store's vectors come from.

    Args:
        metadata: Of its table.
        uri: The store, for error messages.

    Raises:
        ValueError: If the table is of another program or version.
    """
    if METADATA not in metadata:
        raise ValueError(f"'{uri}' holds a table of another program, not pictures")
    with suppress(TypeError, ValueError):
        facts = dict(json.loads(metadata[METADATA]))
        if facts.pop("format", None) == FORMAT:
            return StoreModel(**facts)
    raise ValueError(
        f"the store '{uri}' was made by another version of gcahng, which tells models apart in "
        "another way: make a new store with gcahng index"
    )


@dataclass(frozen=True)
class Neighbour:
    """A picture found by a search.

    Attributes:
        id: Of its row, derived from its path.
        path: Of its file; bytes that are not UTF-8 are escaped.
        label: Name of its class, or None.
        split: `train`, `val`, `test` or None.
        similarity: Cosine similarity to the query, in [-1, 1].
    """

    id: str
    path: str
    label: str | None
    split: str | None
    similarity: float


def picture_id(path: str) -> str:
    """The id of the row of a file.

    Example:
        >>> picture_id("/photos/cup/1.jpg")
        '332a6dfdb031350e41721b30a3081cfe'
    """
    return hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()


def schema(dim: int, metadata: Mapping[bytes, bytes]) -> Any:
    """The columns of a store for vectors of `dim` numbers, as an Arrow schema."""
    import pyarrow as pa

    kinds = {
        "id": pa.string(),
        "path": pa.string(),
        "file": pa.binary(),
        "label": pa.string(),
        "split": pa.string(),
        "size": pa.int64(),
        "mtime_ns": pa.int64(),
        "digest": pa.string(),
        "thumbnail": pa.binary(),
        "vector": pa.list_(pa.float32(), dim),
    }
    return pa.schema(list(kinds.items()), metadata=dict(metadata))


def arrow_rows(pictures: Sequence[EmbeddedPicture], dim: int) -> Any:
    """Embedded pictures as an Arrow table."""
    import pyarrow as pa

    vectors = pa.array(np.concatenate([p.vector.numpy() for p in pictures if p.vector is not None]))
    columns: dict[str, Any] = {
        "id": [picture_id(picture.file.path) for picture in pictures],
        "path": [printable(picture.file.path) for picture in pictures],
        "file": [os.fsencode(picture.file.path) for picture in pictures],
        "label": [picture.file.label for picture in pictures],
        "split": [picture.file.split for picture in pictures],
        "size": [picture.state.size for picture in pictures],
        "mtime_ns": [picture.state.mtime_ns for picture in pictures],
        "digest": [picture.state.digest for picture in pictures],
        "thumbnail": [picture.thumbnail for picture in pictures],
        "vector": pa.FixedSizeListArray.from_arrays(vectors, dim),
    }
    return pa.table(columns, schema=schema(dim, {}))


def file_of(row: Mapping[str, Any]) -> tuple[PictureFile, FileState]:
    """The file of a row with `FILE_COLUMNS`, and its state when it was indexed."""
    state = FileState(row["size"], row["mtime_ns"], row["digest"])
    return PictureFile(os.fsdecode(row["file"]), row["label"], row["split"]), state
