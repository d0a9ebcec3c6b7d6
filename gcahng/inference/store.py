"""A searchable store of pictures: a LanceDB table with a row for each picture."""

import hashlib
import importlib
import json
import os
import random
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from gcahng.arguments import is_integer
from gcahng.files import printable
from gcahng.pictures import FileState, PictureFile
from gcahng.reasons import first_line, install_extra, refusal

TABLE = "pictures"
METADATA = b"gcahng"
# Of the columns, and of what a fingerprint is made of.
LAYOUT = 3
FILE_COLUMNS = ("file", "label", "split", "size", "mtime_ns", "digest")
SHOWN = ("id", "path", "label", "split")
# In LanceDB's errors, which are of one type.
DAMAGE = re.compile(r"LanceError\(IO\)|lance error: Not found: ")
# How long old versions of the table are kept, for servers that still read them.
KEPT_VERSIONS = timedelta(days=1)
# Rows that are read, or deleted, at once.
SCAN, AT_ONCE = 65536, 1000


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


class UnreadableStoreError(OSError):
    """A store of which files are missing or damaged, or cannot be reached."""


class PictureStore:
    """The pictures of a store and their embeddings, L2-normalised.

    Args:
        uri: A folder; or, as `lancedb.connect` takes it, an object store such as `s3://…` or a
            server.

    Attributes:
        uri: As given.
        model: The model that made its vectors.

    Raises:
        FileNotFoundError: If there is no store.
        ImportError: If LanceDB is not installed.
        ValueError: If the store is of another program or version.
    """

    def __init__(self, uri: str | Path) -> None:
        self.uri = str(uri)
        self._table = _open_table(self.uri)
        self.model = self._read_model()

    def _read_model(self) -> StoreModel:
        metadata = self._table.schema.metadata or {}
        if METADATA not in metadata:
            raise ValueError(f"'{self.uri}' holds a table of another program, not pictures")
        with suppress(TypeError, ValueError):
            facts = dict(json.loads(metadata[METADATA]))
            if facts.pop("layout", None) == LAYOUT:
                return StoreModel(**facts)
        raise ValueError(
            f"the store '{self.uri}' was made by another version of gcahng: make a new store with "
            "gcahng index"
        )

    @classmethod
    def create(cls, uri: str | Path, model: StoreModel) -> "PictureStore":
        """Open a store, or make an empty one for the vectors of a model.

        Raises:
            ValueError: If the store was made with another model.
        """
        try:
            store = cls(uri)
        except FileNotFoundError:
            about = json.dumps({"layout": LAYOUT, **asdict(model)}).encode()
            table = _schema(model.dim, {METADATA: about})
            _connect(str(uri)).create_table(TABLE, schema=table, exist_ok=True)
            store = cls(uri)
        store.check_model(model.fingerprint, model.source)
        return store

    def check_model(self, fingerprint: str, source: str) -> None:
        """Raise unless a model is the one that made the store's vectors."""
        if fingerprint == self.model.fingerprint:
            return
        made = f"'{self.model.source}'"
        if self.model.weights is not None:
            made += f" and its weights '{self.model.weights}'"
        now = "as it was then" if source == self.model.source else f"not with '{source}'"
        raise ValueError(
            f"the store '{self.uri}' was made with {made}, {now}, and embeddings of different "
            "models cannot be compared: use that model, or name a new store"
        )

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def refresh(self) -> None:
        """See what other processes have written since.

        Raises:
            ValueError: If the store was deleted, and made again with another model.
        """
        self._table.checkout_latest()
        self.check_model(self._read_model().fingerprint, self.model.source)

    @property
    def version(self) -> int:
        """Of the table that this object reads; each transaction makes a new one."""
        return int(self._table.version)

    def count(self, where: str | None = None) -> int:
        """Count the pictures that satisfy a condition in SQL.

        Raises:
            ValueError: If the condition is wrong.
        """
        condition = _whole_condition(where)
        with _reading(self.uri, where):
            return int(self._table.count_rows(condition))

    def labels(self) -> dict[str, int]:
        """Count the pictures of each class, by name."""
        column = self._read(self._table.search().select(["label"]).limit(None))["label"]
        counts = column.drop_null().value_counts().to_pylist()
        return dict(sorted((entry["values"], entry["counts"]) for entry in counts))

    def files(self) -> dict[str, tuple[PictureFile, FileState]]:
        """Return each file, with its state when it was indexed, by path."""
        table = self._read(self._table.search().select(list(FILE_COLUMNS)).limit(None))
        batches = (batch.to_pylist() for batch in table.to_batches(max_chunksize=SCAN))
        found = (_file_of(row) for rows in batches for row in rows)
        return {file.path: (file, state) for file, state in found}

    def _read(self, query: Any, where: str | None = None) -> Any:
        """Return the rows of a query as an Arrow table."""
        with _reading(self.uri, where):
            return query.to_arrow()

    def write(self, pictures: Sequence[EmbeddedPicture]) -> None:
        """Add pictures, or replace those of the same path, in one transaction.

        Args:
            pictures: With thumbnails and L2-normalised vectors.
        """
        if pictures:
            merge = self._table.merge_insert("id")
            merge.when_matched_update_all().when_not_matched_insert_all().execute(
                _arrow_rows(pictures, self.model.dim)
            )

    def update_states(self, pictures: Sequence[EmbeddedPicture]) -> None:
        """Record new times, classes and splits of pictures whose content is the same."""
        import pyarrow as pa

        if not pictures:
            return
        changed = {row["id"]: row for row in map(_row, pictures)}
        found = [row | changed[row["id"]] for row in self._rows(list(changed))]
        rows = pa.Table.from_pylist(found, schema=_schema(self.model.dim, {}))
        self._table.merge_insert("id").when_matched_update_all().execute(rows)

    def _rows(
        self, ids: Sequence[str], columns: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        query = self._table.search().where(_with_ids(ids)).limit(None)
        return self._read(query.select(list(columns)) if columns else query).to_pylist()

    def delete(self, paths: Sequence[str]) -> None:
        """Delete the rows of files."""
        for start in range(0, len(paths), AT_ONCE):
            ids = [picture_id(path) for path in paths[start : start + AT_ONCE]]
            self._table.delete(_with_ids(ids))

    def row(self, key: str, columns: Sequence[str]) -> dict[str, Any]:
        """Return columns of the row with an id.

        Raises:
            KeyError: If there is none.
        """
        rows = self._rows([key], columns)
        if not rows:
            raise KeyError(key)
        return rows[0]

    def file(self, key: str) -> tuple[PictureFile, FileState]:
        """Return the file of a row, and its state when it was indexed.

        Raises:
            KeyError: As for `row`.
        """
        return _file_of(self.row(key, FILE_COLUMNS))

    def sample(self, k: int, where: str | None = None) -> list[dict[str, Any]]:
        """Return `SHOWN` columns of random pictures; of the first ones that satisfy a condition."""
        if where is None:
            count = len(self)
            query = self._table.take_offsets(random.sample(range(count), min(k, count)))
        else:
            query = self._table.search().where(where).limit(k)
        rows: list[dict[str, Any]] = self._read(query.select(list(SHOWN))).to_pylist()
        return rows

    def thumbnails(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the thumbnails of rows as JPEG, by id."""
        rows = self._rows(keys, ["id", "thumbnail"]) if keys else []
        return {row["id"]: bytes(row["thumbnail"]) for row in rows}

    def vector(self, key: str) -> Tensor:
        """Return the embedding [D] of a row; raises as `row`."""
        return torch.tensor(self.row(key, ["vector"])["vector"], dtype=torch.float32, device="cpu")

    def search(
        self, vector: Tensor, k: int = 10, *, where: str | None = None, exact: bool = False
    ) -> list[Neighbour]:
        """Find the pictures that are most similar to an embedding, the most similar first.

        Args:
            vector: [D], of any length but 0.
            k: How many, at least 1; fewer if the store has fewer.
            where: A condition in SQL on the columns `path`, `label`, `split`, `size`.
            exact: Compare with every picture, even if the store has an index.

        Raises:
            UnreadableStoreError: If files of the store are missing.
            ValueError: If the condition or `k` is wrong, or the vector has another dimension.
        """
        if not is_integer(k, 1):
            raise ValueError(f"Expected 'k' as a whole number of at least 1 (got {k!r}).")
        if not isinstance(vector, Tensor) or vector.shape != (self.model.dim,):
            got = list(getattr(vector, "shape", [])) or type(vector).__name__
            raise ValueError(f"Expected an embedding [{self.model.dim}] (got {got})")
        if not (vector.isfinite().all() and vector.any()):
            raise ValueError("the embedding of the picture is not finite, or 0: check the model")
        query = self._table.search(vector.numpy(), vector_column_name="vector")
        # LanceDB counts in 32 bits.
        most = min(int(k), max(len(self), 1))
        query = query.distance_type("cosine").limit(most).select([*SHOWN, "_distance"])
        if self.indexed():
            query = query.bypass_vector_index() if exact else query.refine_factor(4)
        condition = _whole_condition(where)
        query = query.where(condition, prefilter=True) if condition else query
        rows = self._read(query, where).to_pylist()
        # Rounding leaves a distance of -1e-7 between a vector and itself.
        near = [min(1 - row.pop("_distance"), 1.0) for row in rows]
        return [Neighbour(**row, similarity=one) for row, one in zip(rows, near, strict=True)]

    def indexed(self) -> bool:
        """Tell whether searches use an index, so that they are approximate."""
        return any(index.columns == ["vector"] for index in self._table.list_indices())

    def build_index(self) -> None:
        """Build the index for approximate searches, or build it anew."""
        from lancedb.index import IvfHnswSq

        self._table.create_index("vector", config=IvfHnswSq(distance_type="cosine"), replace=True)

    def compact(self) -> None:
        """Join small files, bring an index up to date, and make rows quick to find by id."""
        if not any(index.columns == ["id"] for index in self._table.list_indices()):
            self._table.create_scalar_index("id")
        self._table.optimize(cleanup_older_than=KEPT_VERSIONS)

    def fragments(self) -> int:
        """Count the pieces in which the table is stored."""
        return int(self._table.stats()["fragment_stats"]["num_fragments"])


def is_local(uri: str) -> bool:
    """Tell whether this names a folder rather than an object store or a server."""
    return "://" not in uri


def picture_id(path: str) -> str:
    """Derive the id of a file's row from its path.

    Example:
        >>> picture_id("/photos/cup/1.jpg")
        '332a6dfdb031350e41721b30a3081cfe'
    """
    return hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()


def quote_sql(text: str) -> str:
    """Write a string in SQL.

    Example:
        >>> print(quote_sql("children's cup"))
        'children''s cup'
    """
    return "'" + text.replace("'", "''") + "'"


def _with_ids(ids: Sequence[str]) -> str:
    return f"id IN ({', '.join(map(quote_sql, ids))})"


def _import_lancedb() -> Any:
    """Import LanceDB without the client of its namespaces' servers, a third of its import.

    It only needs the data types in that package, so the package itself stays empty meanwhile.
    """
    name = "lance_namespace_urllib3_client"
    spec = None if {name, "lancedb"} & sys.modules.keys() else find_spec(name)
    if spec is not None:
        empty = ModuleType(name)
        empty.__path__ = list(spec.submodule_search_locations or ())
        sys.modules[name] = empty
        try:
            return importlib.import_module("lancedb")
        except ImportError:  # another version, which needs more of it
            pass
        finally:
            del sys.modules[name]
    return importlib.import_module("lancedb")


def _connect(uri: str) -> Any:
    """Connect to a database, which need not exist."""
    try:
        lancedb = _import_lancedb()
    except ImportError as error:
        raise ImportError(
            f"a store needs LanceDB, which is not installed: {install_extra('search')}"
        ) from error
    try:
        with _reading(uri):
            return lancedb.connect(uri)
    except ValueError as error:
        reason = first_line(error).removeprefix("Invalid input, ")
        raise ValueError(f"'{uri}' cannot be a store: {reason}") from error


def _open_table(uri: str) -> Any:
    if is_local(uri) and not Path(uri).is_dir():
        raise FileNotFoundError(f"no store at '{uri}': make one with gcahng index")
    database = _connect(uri)
    try:
        with _reading(uri):
            return database.open_table(TABLE)
    except ValueError as error:
        # There may be its folder, if a process that made it was killed before the first version.
        if "was not found" not in str(error):
            raise
        raise FileNotFoundError(f"no store at '{uri}': make one with gcahng index") from error


@contextmanager
def _reading(uri: str, where: str | None = None) -> Iterator[None]:
    """Say in one sentence why a store cannot be read, or what is wrong with a condition."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        reason = first_line(error)
        if refusal(error) is not None:
            raise
        if DAMAGE.search(reason):
            reason = reason.partition(", /")[0]  # where in its source LanceDB noticed it
            raise UnreadableStoreError(
                f"the store '{uri}' cannot be read ({reason}): check its address; if a file is "
                "missing or damaged, make it anew with gcahng index"
            ) from error
        if where is None:
            raise
        # The rest lists all columns, or where in its source LanceDB noticed it.
        reason = reason.removeprefix("Invalid input, ").partition(". ")[0]
        raise _wrong_condition(where, reason if "/" not in reason else "") from error


def _whole_condition(where: str | None) -> str | None:
    """Put a condition in brackets, since LanceDB ignores what follows an expression."""
    if where is None:
        return None
    if not isinstance(where, str) or not where.strip():
        raise _wrong_condition(where, "it is no text, or empty")
    return f"({where})"


def _wrong_condition(where: object, reason: str) -> ValueError:
    because = f" ({reason})" if reason else ""
    return ValueError(
        f"--where: {where!r} is not a condition on path, label, split, size such as "
        f"\"label = 'cup'\"{because}"
    )


def _schema(dim: int, metadata: Mapping[bytes, bytes]) -> Any:
    """The columns of a store for vectors of `dim` numbers, as an Arrow schema."""
    import pyarrow as pa

    kinds = dict.fromkeys(("id", "path", "label", "split", "digest"), pa.string())
    kinds |= dict.fromkeys(("file", "thumbnail"), pa.binary())
    kinds |= dict.fromkeys(("size", "mtime_ns"), pa.int64())
    kinds["vector"] = pa.list_(pa.float32(), dim)
    return pa.schema(list(kinds.items()), metadata=dict(metadata))


def _row(picture: EmbeddedPicture) -> dict[str, Any]:
    """What a row says of a picture, without its content."""
    path = picture.file.path
    about = {**vars(picture.file), **vars(picture.state), "path": printable(path)}
    return {**about, "id": picture_id(path), "file": os.fsencode(path)}


def _arrow_rows(pictures: Sequence[EmbeddedPicture], dim: int) -> Any:
    """Embedded pictures as an Arrow table."""
    import pyarrow as pa

    rows = [
        {**_row(one), "thumbnail": one.thumbnail, "vector": one.vector.numpy()}
        for one in pictures
        if one.vector is not None
    ]
    return pa.Table.from_pylist(rows, schema=_schema(dim, {}))


def _file_of(row: Mapping[str, Any]) -> tuple[PictureFile, FileState]:
    """The file of a row with `FILE_COLUMNS`, and its state when it was indexed."""
    state = FileState(row["size"], row["mtime_ns"], row["digest"])
    return PictureFile(os.fsdecode(row["file"]), row["label"], row["split"]), state
