"""A searchable store of pictures: a LanceDB table with a row for each picture."""

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gcahng.arguments import is_integer
from gcahng.inference.database import (
    TABLE,
    connect,
    open_table,
    reading,
    whole_condition,
    with_ids,
)
from gcahng.inference.reader import EmbeddedPicture, FileState, PictureFile
from gcahng.inference.rows import (
    FILE_COLUMNS,
    METADATA,
    SHOWN,
    Neighbour,
    StoreModel,
    arrow_rows,
    file_of,
    picture_id,
    read_model,
    schema,
)

# How long old versions of the table are kept, for servers that still read them.
KEPT_VERSIONS = timedelta(days=1)
# Rows that are read, or deleted, at once.
SCAN, AT_ONCE = 65536, 1000


class PictureStore:
    """The pictures of a store and their embeddings, L2-normalised.

    Args:
        uri: A folder; or, as `lancedb.connect` takes it, an object store such as `s3://…` or a
            server.

    Raises:
        FileNotFoundError: If there is no store.
        ImportError: If LanceDB is not installed.

    Attributes:
        uri: As given.
        model: The model that made its vectors.
    """

    def __init__(self, uri: str | Path) -> None:
        self.uri = str(uri)
        self._table = open_table(self.uri)
        self.model = self._read_model()

    def _read_model(self) -> StoreModel:
        return read_model(self._table.schema.metadata or {}, self.uri)

    @classmethod
    def create(cls, uri: str | Path, model: StoreModel) -> "PictureStore":
        """Open a store, or make an empty one for the vectors of a model.

        Raises:
            ValueError: If the store was made with another model.
        """
        try:
            store = cls(uri)
        except FileNotFoundError:
            table = schema(model.dim, {METADATA: model.to_json()})
            connect(str(uri)).create_table(TABLE, schema=table, exist_ok=True)
            store = cls(uri)
        store.check_model(model.fingerprint, model.source)
        return store

    def check_model(self, fingerprint: str, source: str) -> None:
        """Raise unless a model is the one that made the store's vectors."""
        if fingerprint != self.model.fingerprint:
            if source == self.model.source and self.model.weights is not None:
                weights = self.model.weights
                problem = (
                    f"the store was made with the weights '{weights}' of '{source}' as they were"
                )
                advice = "use those, or make a new store"
            elif source == self.model.source:
                problem = f"'{source}' is not the model any more that the store was made with"
                advice = "make a new store"
            else:
                problem = f"the store was made with '{self.model.source}', not with '{source}'"
                advice = "use that model, or make a new store"
            raise ValueError(
                f"{problem}, and embeddings of different models cannot be compared ('{self.uri}'): "
                f"{advice}"
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
        """How many pictures satisfy a condition in SQL.

        Raises:
            ValueError: If the condition is wrong.
        """
        condition = whole_condition(where)
        with reading(self.uri, where):
            return int(self._table.count_rows(condition))

    def labels(self) -> dict[str, int]:
        """The classes with their numbers of pictures, by name."""
        column = self._read(self._table.search().select(["label"]).limit(None))["label"]
        counts = column.drop_null().value_counts().to_pylist()
        return dict(sorted((entry["values"], entry["counts"]) for entry in counts))

    def ids(self) -> list[str]:
        """The ids of all rows, sorted."""
        return sorted(row["id"] for row in self._scan(["id"]))

    def files(self) -> dict[str, tuple[PictureFile, FileState]]:
        """Each file, with its state when it was indexed, by path."""
        rows = map(file_of, self._scan(FILE_COLUMNS))
        return {file.path: (file, state) for file, state in rows}

    def _scan(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        table = self._read(self._table.search().select(list(columns)).limit(None))
        for batch in table.to_batches(max_chunksize=SCAN):
            yield from batch.to_pylist()

    def _read(self, query: Any, where: str | None = None) -> Any:
        """The rows of a query as an Arrow table."""
        with reading(self.uri, where):
            return query.to_arrow()

    def write(self, pictures: Sequence[EmbeddedPicture]) -> None:
        """Add pictures, or replace those of the same path, in one transaction.

        Args:
            pictures: With thumbnails and L2-normalised vectors.
        """
        if pictures:
            merge = self._table.merge_insert("id")
            merge.when_matched_update_all().when_not_matched_insert_all().execute(
                arrow_rows(pictures, self.model.dim)
            )

    def update_states(self, pictures: Sequence[EmbeddedPicture]) -> None:
        """Record new times, classes and splits of pictures whose content is the same."""
        import pyarrow as pa

        if not pictures:
            return
        ids = [picture_id(picture.file.path) for picture in pictures]
        found = {row["id"]: row for row in self._rows(ids)}
        for picture, key in zip(pictures, ids, strict=True):
            found[key] |= {
                "label": picture.file.label,
                "split": picture.file.split,
                "size": picture.state.size,
                "mtime_ns": picture.state.mtime_ns,
            }
        rows = pa.Table.from_pylist(list(found.values()), schema=schema(self.model.dim, {}))
        self._table.merge_insert("id").when_matched_update_all().execute(rows)

    def _rows(
        self, ids: Sequence[str], columns: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        query = self._table.search().where(with_ids(ids)).limit(None)
        return self._read(query.select(list(columns)) if columns else query).to_pylist()

    def delete(self, paths: Sequence[str]) -> None:
        """Delete the rows of files."""
        for start in range(0, len(paths), AT_ONCE):
            ids = [picture_id(path) for path in paths[start : start + AT_ONCE]]
            self._table.delete(with_ids(ids))

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
            KeyError: If there is no such row.
        """
        return file_of(self.row(key, FILE_COLUMNS))

    def thumbnail(self, key: str) -> bytes:
        """Return the thumbnail of a row as JPEG.

        Raises:
            KeyError: If there is no such row.
        """
        return bytes(self.row(key, ["thumbnail"])["thumbnail"])

    def some(self, k: int, where: str | None = None) -> list[dict[str, Any]]:
        """Return `SHOWN` columns of random pictures; of the first ones that satisfy a condition."""
        if where is None:
            count = len(self)
            query = self._table.take_offsets(random.sample(range(count), min(k, count)))
        else:
            query = self._table.search().where(where).limit(k)
        rows: list[dict[str, Any]] = self._read(query.select(list(SHOWN))).to_pylist()
        return rows

    def thumbnails(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the thumbnails of several rows as JPEG, by id."""
        rows = self._rows(keys, ["id", "thumbnail"]) if keys else []
        return {row["id"]: bytes(row["thumbnail"]) for row in rows}

    def vector(self, key: str) -> Tensor:
        """Return the embedding [D] of a row.

        Raises:
            KeyError: If there is no such row.
        """
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
        condition = whole_condition(where)
        query = query.where(condition, prefilter=True) if condition else query
        rows = self._read(query, where).to_pylist()
        return [
            # Rounding leaves a distance of -1e-7 between a vector and itself.
            Neighbour(
                **{name: row[name] for name in SHOWN}, similarity=min(1 - row["_distance"], 1.0)
            )
            for row in rows
        ]

    def indexed(self) -> bool:
        """Whether searches use an index, so that they are approximate."""
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
        """In how many pieces the table is stored."""
        return int(self._table.stats()["fragment_stats"]["num_fragments"])
