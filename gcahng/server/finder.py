"""What the server answers with: the pictures of a store and the model that made its vectors."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from PIL import Image
from starlette.exceptions import HTTPException

from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.store import SHOWN, PictureStore, UnreadableStoreError, quote_sql
from gcahng.pictures import FileState, PictureFile, TooManyPixels, decode_image
from gcahng.reasons import first_line
from gcahng.server.decoders import Decoders

# Seconds after which a request looks for what other processes have written to the store.
REFRESH = 2.0


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Attributes:
        most_bytes: Of an upload.
        most_pixels: Of an upload, and of an indexed picture that is converted for the browser.
        most_results: Of a search.
        most_seconds: Of decoding a picture.
    """

    most_bytes: int = 20 * 2**20
    most_pixels: int = 50 * 10**6
    most_results: int = 200
    most_seconds: float = 10


class Finder:
    """Searches a store; its methods may be called from several threads.

    Args:
        store: The pictures.
        model: The model that made the store's vectors.
        limits: What one request may cost.

    Attributes:
        limits: As given, or their defaults.
        decoders: Decode pictures beside this process.
    """

    def __init__(
        self, store: PictureStore, model: TrainedEmbedder, limits: Limits | None = None
    ) -> None:
        self._store, self._model = store, model
        self.limits = limits or Limits()
        self._lock = Lock()
        self._refreshed = time.monotonic()
        self._counted: tuple[int, dict[str, int]] | None = None
        self._shortest = model.image_transform.shortest_side
        self.decoders = Decoders(self.limits.most_seconds)
        # The first picture takes longer than those that follow.
        model.embed(Image.new("RGB", (64, 64)))

    @contextmanager
    def _reading(self) -> Iterator[PictureStore]:
        """The store as it is now, or was a moment ago.

        If the block fails because the store is gone meanwhile, that is the error.
        """
        self._refresh(REFRESH)
        try:
            yield self._store
        except HTTPException:
            raise
        except UnreadableStoreError as error:
            sentence = "the store cannot be read: a file of it is missing or damaged"
            raise HTTPException(503, sentence) from error
        except Exception:
            self._refresh(0)
            raise

    def _refresh(self, age: float) -> None:
        """See what other processes have written, if the last time was so many seconds ago."""
        with self._lock:
            if time.monotonic() - self._refreshed < age:
                return
            try:
                self._store.refresh()
            # A store that was deleted or cannot be reached raises many kinds of errors.
            except Exception as error:
                sentence = f"the store cannot be read: {first_line(error)}"
                raise HTTPException(503, sentence) from error
            self._refreshed = time.monotonic()

    def health(self) -> dict[str, Any]:
        """Describe the store, the model and the limits."""
        with self._reading() as store:
            return {
                "status": "ok",
                "store": Path(store.uri).name or store.uri,
                "pictures": len(store),
                "model": store.model.source,
                **asdict(self.limits),
            }

    def labels(self) -> dict[str, int]:
        """The classes with their numbers of pictures, by name."""
        with self._reading() as store:
            version, counted = store.version, self._counted
            if counted is None or counted[0] != version:
                counted = self._counted = (version, store.labels())
            return counted[1]

    def search_upload(self, content: bytes, k: int, label: str | None) -> dict[str, Any]:
        """Find the pictures that are most similar to an uploaded file."""
        where = self._condition(label)
        try:
            image = self.decoders.run(
                decode_image, content, self.limits.most_pixels, self._shortest
            )
        except TooManyPixels as error:
            raise HTTPException(413, f"the picture is too large: {error}") from error
        except ValueError as error:
            raise HTTPException(422, f"the picture cannot be read: {error}") from error
        (vector,) = self._model.embed(image)
        with self._reading() as store:
            found = store.search(vector, k, where=where)
        return {"query": None, "neighbours": [asdict(near) for near in found]}

    def search_stored(self, key: str, k: int, label: str | None) -> dict[str, Any]:
        """Find the pictures that are most similar to one of the store, without itself."""
        where = self._condition(label)
        with self._store_with(key) as store:
            query = store.row(key, [*SHOWN, "vector"])
            found = store.search(torch.tensor(query.pop("vector")), k + 1, where=where)
        others = [asdict(near) for near in found if near.id != key]
        return {"query": query, "neighbours": others[:k]}

    def sample(self, k: int, label: str | None) -> dict[str, Any]:
        """Pictures to start from: a random sample, or the first ones of a label."""
        where = self._condition(label)
        with self._reading() as store:
            return {"pictures": store.sample(k, where)}

    def thumbnail(self, key: str) -> bytes:
        """Return the thumbnail of a picture as JPEG."""
        with self._store_with(key) as store:
            return bytes(store.row(key, ["thumbnail"])["thumbnail"])

    def file(self, key: str) -> tuple[PictureFile, FileState]:
        """Return the file of a picture, and its state when it was indexed."""
        with self._store_with(key) as store:
            return store.file(key)

    @contextmanager
    def _store_with(self, key: str) -> Iterator[PictureStore]:
        """The store, in which the block reads a picture; one that is not there is 404."""
        with self._reading() as store:
            try:
                if not re.fullmatch("[0-9a-f]{32}", key):
                    raise KeyError(key)
                yield store
            except KeyError as error:
                raise HTTPException(404, "the store has no picture with this id") from error

    def _condition(self, label: str | None) -> str | None:
        if not label:
            return None
        if label not in self.labels():
            raise HTTPException(404, f"no picture has the label '{label}'")
        return f"label = {quote_sql(label)}"
