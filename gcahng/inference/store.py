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

import torch.nn.functional as F
from torch import Tensor

from gcahng.arguments import is_integer
from gcahng.files import printable
from gcahng.pictures import FileState, PictureFile
from gcahng.reasons import first_line, install_extra

TABLE = "pictures"
METADATA = b"gcahng"
# Of the columns, and of what a fingerprint is made of.
LAYOUT = 4
FILE_COLUMNS = ("file", "label", "split", "size", "mtime_ns")
SHOWN = ("id", "path", "label", "split")
# In LanceDB's errors, which are of one type.
DAMAGE = re.compile(r"LanceError\(IO\)|lance error: Not found: ")
# How long old versions of the table are kept, for servers that still read them.
KEPT_VERSIONS = timedelta(days=1)
# Rows that are deleted at once.
AT_ONCE = 1000


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture file with its state when it was read, its embedding [D], and a small JPEG."""

    file: PictureFile
    state: FileState
    vector: Tensor
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


class PictureStore:
    """The pictures of a store and their embeddings, L2-normalised.

    Args:
        folder: What `gcahng index` made.

    Attributes:
        folder: As given.
        model: The model that made its vectors.

    Raises:
        FileNotFoundError: If there is no store.
        ImportError: If LanceDB is not installed.
        OSError: Here and in all methods, if files of the store are missing or damaged.
        ValueError: If the store is of another program or version.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = str(folder)
        self._table = _open_table(self.folder)
        self.model = self._read_model()

    def _read_model(self) -> StoreModel:
        metadata = self._table.schema.metadata or {}
        if METADATA not in metadata:
            raise ValueError(f"'{self.folder}' holds a table of another program, not pictures")
        with suppress(TypeError, ValueError):
            facts = dict(json.loads(metadata[METADATA]))
            if facts.pop("layout", None) == LAYOUT:
                return StoreModel(**facts)
        raise ValueError(
            f"the store '{self.folder}' was made by another version of gcahng: make a new store "
            "with gcahng index"
        )

    @classmethod
    def create(cls, folder: str | Path, model: StoreModel) -> "PictureStore":
        """Open a store, or make an empty one for the vectors of a model.

        Raises:
            ValueError: If the store was made with another model.
        """
        try:
            store = cls(folder)
        except FileNotFoundError:
            about = json.dumps({"layout": LAYOUT, **asdict(model)}).encode()
            schema = _schema(model.dim, {METADATA: about})
            _connect(str(folder)).create_table(TABLE, schema=schema, exist_ok=True)
            store = cls(folder)
        store.check_model(model.fingerprint, model.source)
        return store

    def check_model(self, fingerprint: str, source: str) -> None:
        """Raise a ValueError unless a model is the one that made the store's vectors."""
        if fingerprint == self.model.fingerprint:
            return
        made = f"'{self.model.source}'"
        if self.model.weights is not None:
            made += f" and its weights '{self.model.weights}'"
        now = "as it was then" if source == self.model.source else f"not with '{source}'"
        raise ValueError(
            f"the store '{self.folder}' was made with {made}, {now}, and embeddings of different "
            "models cannot be compared: use that model, or name a new store"
        )

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def refresh(self) -> None:
        """See what other processes have written since.

        Raises:
            ValueError: If the store was made again with another model.
        """
        with _reading(self.folder):
            self._table.checkout_latest()
        self.check_model(self._read_model().fingerprint, self.model.source)

    def count(self, where: str | None = None) -> int:
        """Count the pictures that satisfy a condition in SQL; a ValueError if it is wrong."""
        with _reading(self.folder, where):
            return int(self._table.count_rows(_whole_condition(where)))

    def labels(self) -> dict[str, int]:
        """Count the pictures of each class, by name."""
        column = self._read(self._table.search().select(["label"]).limit(None))["label"]
        counts = column.drop_null().value_counts().to_pylist()
        return dict(sorted((entry["values"], entry["counts"]) for entry in counts))

    def files(self) -> dict[str, tuple[PictureFile, FileState]]:
        """Return each file, with its state when it was indexed, by path."""
        table = self._read(self._table.search().select(list(FILE_COLUMNS)).limit(None))
        return {file.path: (file, state) for file, state in map(file_of, table.to_pylist())}

    def _read(self, query: Any, where: str | None = None) -> Any:
        """Return the rows of a query as an Arrow table."""
        with _reading(self.folder, where):
            return query.to_arrow()

    def write(self, pictures: Sequence[EmbeddedPicture]) -> None:
        """Add pictures with thumbnails and vectors, or replace those of the same path.

        All are in one transaction.
        """
        import pyarrow as pa

        if pictures:
            rows = pa.Table.from_pylist(list(map(_row, pictures)), _schema(self.model.dim))
            merge = self._table.merge_insert("id")
            merge.when_matched_update_all().when_not_matched_insert_all().execute(rows)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete the rows of files."""
        for start in range(0, len(paths), AT_ONCE):
            ids = [picture_id(path) for path in paths[start : start + AT_ONCE]]
            self._table.delete(_with_ids(ids))

    def rows(self, ids: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Return columns of the rows with some ids, in any order; fewer if some are not there."""
        if not ids:
            return []
        query = self._table.search().where(_with_ids(ids)).limit(None).select(list(columns))
        return list(self._read(query).to_pylist())

    def sample(self, k: int, where: str | None = None) -> list[dict[str, Any]]:
        """Return `SHOWN` columns of random pictures; of the first ones that satisfy a condition."""
        if where is None:
            count = len(self)
            query = self._table.take_offsets(random.sample(range(count), min(k, count)))
        else:
            query = self._table.search().where(where).limit(k)
        return list(self._read(query.select(list(SHOWN))).to_pylist())

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
            ValueError: If the condition, `k` or the vector is wrong.
        """
        if not is_integer(k, 1):
            raise ValueError(f"Expected 'k' as a whole number of at least 1 (got {k!r}).")
        if vector.shape != (self.model.dim,):
            raise ValueError(f"Expected an embedding [{self.model.dim}] (got {list(vector.shape)})")
        if not (vector.isfinite().all() and vector.any()):
            raise ValueError("the embedding of the picture is not finite, or 0: check the model")
        query = self._table.search(vector.numpy(), vector_column_name="vector")
        # LanceDB counts in 32 bits.
        most = min(int(k), max(len(self), 1))
        query = query.distance_type("cosine").limit(most).select([*SHOWN, "_distance"])
        if self.indexed():
            query = query.bypass_vector_index() if exact else query.refine_factor(4)
        if where is not None:
            query = query.where(_whole_condition(where), prefilter=True)
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


def picture_id(path: str) -> str:
    """Derive the id of a file's row from its path."""
    return hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()


def quote_sql(text: str) -> str:
    """Write a string in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _with_ids(ids: Sequence[str]) -> str:
    return f"id IN ({', '.join(map(quote_sql, ids))})"


def _whole_condition(where: str | None) -> str | None:
    """Put a condition in brackets, since LanceDB ignores what follows an expression."""
    return None if where is None else f"({where})"


def _import_lancedb() -> Any:
    """Import LanceDB without the client of its namespaces' servers, a third of its import.

    It only needs the data types in that package, so the package itself stays empty meanwhile.
    """
    name = "lance_namespace_urllib3_client"
    spec = None if {name, "lancedb"} & sys.modules.keys() else find_spec(name)
    if spec is None:
        return importlib.import_module("lancedb")
    empty = ModuleType(name)
    empty.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[name] = empty
    try:
        with suppress(ImportError):  # of another version, which needs more of it
            return importlib.import_module("lancedb")
    finally:
        del sys.modules[name]
    return importlib.import_module("lancedb")


def _connect(folder: str) -> Any:
    try:
        return _import_lancedb().connect(folder)
    except ImportError as error:
        raise ImportError(
            f"a store needs LanceDB, which is not installed: {install_extra('search')}"
        ) from error


def _open_table(folder: str) -> Any:
    missing = FileNotFoundError(f"no store at '{folder}': make one with gcahng index")
    if not Path(folder).is_dir():
        raise missing
    database = _connect(folder)
    try:
        with _reading(folder):
            return database.open_table(TABLE)
    except OSError as error:
        # There may be its folder, if a process that made it was killed before the first version.
        if "was not found" in str(error):
            raise missing from error
        raise


@contextmanager
def _reading(folder: str, where: str | None = None) -> Iterator[None]:
    """Say in one sentence why a store cannot be read, or what is wrong with a condition."""
    try:
        yield
    except (TypeError, ValueError, RuntimeError) as error:
        # The end names where in its source LanceDB noticed it.
        reason = first_line(error).partition(", /")[0]
        if where is None or DAMAGE.search(reason):
            raise OSError(
                f"the store '{folder}' cannot be read ({reason}): if a file of it is missing or "
                "damaged, make it anew with gcahng index"
            ) from error
        raise ValueError(
            f"--where: {where!r} is not a condition on path, label, split, size such as "
            f"\"label = 'cup'\" ({reason})"
        ) from error


def _schema(dim: int, metadata: Mapping[bytes, bytes] | None = None) -> Any:
    """The columns of a store for vectors of `dim` numbers, as an Arrow schema."""
    import pyarrow as pa

    kinds = dict.fromkeys(("id", "path", "label", "split"), pa.string())
    kinds |= dict.fromkeys(("file", "thumbnail"), pa.binary())
    kinds |= dict.fromkeys(("size", "mtime_ns"), pa.int64())
    kinds["vector"] = pa.list_(pa.float32(), dim)
    return pa.schema(list(kinds.items()), metadata=metadata)


def _row(picture: EmbeddedPicture) -> dict[str, Any]:
    path = picture.file.path
    about = {**vars(picture.file), **vars(picture.state), "path": printable(path)}
    about |= {"id": picture_id(path), "file": os.fsencode(path)}
    vector = F.normalize(picture.vector, dim=0).numpy()
    return about | {"thumbnail": picture.thumbnail, "vector": vector}


def file_of(row: Mapping[str, Any]) -> tuple[PictureFile, FileState]:
    """The file of a row with `FILE_COLUMNS`, and its state when it was indexed."""
    state = FileState(row["size"], row["mtime_ns"])
    return PictureFile(os.fsdecode(row["file"]), row["label"], row["split"]), state
