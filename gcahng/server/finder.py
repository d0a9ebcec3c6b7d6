"""What the server answers with: the pictures of a store and the model that made its vectors."""

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from gcahng.files import printable
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.store import FILE_COLUMNS, SHOWN, PictureStore, file_of, quote_sql
from gcahng.pictures import TooManyPixels, decode_image, file_state, open_picture

# Formats that browsers show, by Pillow's names; others are converted to JPEG.
SHOWN_BY_BROWSERS = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "BMP": "image/bmp",
}
QUALITY = 90
# The next `gcahng index` may replace the picture.
CACHE = {"cache-control": "no-cache"}


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Attributes:
        most_bytes: Of an upload.
        most_pixels: Of an upload, and of an indexed picture that is converted for the browser.
        most_results: Of a search.
    """

    most_bytes: int = 20 * 2**20
    most_pixels: int = 50 * 10**6
    most_results: int = 200


class Finder:
    """Searches a store with the model that made it; to be called from several threads."""

    def __init__(
        self, store: PictureStore, model: TrainedEmbedder, limits: Limits | None = None
    ) -> None:
        self._store, self._model = store, model
        self.limits = limits or Limits()
        # The first picture takes longer than those that follow.
        model.embed(Image.new("RGB", (64, 64)))

    @contextmanager
    def _reading(self) -> Iterator[PictureStore]:
        """The store as it is now; 503 if it cannot be read or another model has made it anew."""
        try:
            self._store.refresh()
            yield self._store
        except (OSError, ValueError) as error:
            reason = "files are missing or damaged" if isinstance(error, OSError) else error
            raise HTTPException(503, f"the store cannot be read: {reason}") from error

    def health(self) -> dict[str, Any]:
        """Describe the store, the model and the limits."""
        with self._reading() as store:
            return {
                "status": "ok",
                "store": Path(store.folder).name,
                "pictures": len(store),
                "model": store.model.source,
                **asdict(self.limits),
            }

    def labels(self) -> dict[str, int]:
        """The classes with their numbers of pictures, by name."""
        with self._reading() as store:
            return store.labels()

    def search_upload(self, content: bytes, k: int, label: str | None) -> dict[str, Any]:
        """Find the pictures that are most similar to an uploaded file."""
        where = self._condition(label)
        shortest = self._model.transform.shortest_side
        try:
            image = decode_image(content, self.limits.most_pixels, shortest)
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
        query = self._row(key, [*SHOWN, "vector"])
        with self._reading() as store:
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
        return bytes(self._row(key, ["thumbnail"])["thumbnail"])

    def original(self, key: str) -> Response:
        """Answer with the file of a picture, if it is still the one that was indexed."""
        file, state = file_of(self._row(key, FILE_COLUMNS))
        name = printable(os.path.basename(file.path))
        try:
            same = file_state(file.path) == state
        except OSError as error:
            raise HTTPException(410, f"{name} is not there any more") from error
        if not same:
            raise HTTPException(410, f"{name} has changed since it was indexed")
        try:
            with open_picture(file.path) as image:
                kind = SHOWN_BY_BROWSERS.get(image.format or "")
            if kind is None:
                content = io.BytesIO()
                image = decode_image(Path(file.path).read_bytes(), self.limits.most_pixels)
                image.save(content, format="JPEG", quality=QUALITY)
                return Response(content.getvalue(), headers=CACHE, media_type="image/jpeg")
        # Pillow raises many exception types.
        except Exception as error:
            raise HTTPException(422, f"{name} cannot be shown: {error}") from error
        shown: Any = {"filename": name, "content_disposition_type": "inline"}
        return FileResponse(file.path, headers=CACHE, media_type=kind, **shown)

    def _row(self, key: str, columns: Sequence[str]) -> dict[str, Any]:
        """Columns of a picture's row; one that is not there is 404."""
        with self._reading() as store:
            if re.fullmatch("[0-9a-f]{32}", key) and (rows := store.rows([key], columns)):
                return rows[0]
        raise HTTPException(404, "the store has no picture with this id")

    def _condition(self, label: str | None) -> str | None:
        if not label:
            return None
        if label not in self.labels():
            raise HTTPException(404, f"no picture has the label '{label}'")
        return f"label = {quote_sql(label)}"
