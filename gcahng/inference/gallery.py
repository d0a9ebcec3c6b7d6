"""The result of a search as a page with pictures."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from gcahng.files import printable, write_text
from gcahng.inference.embed import thumbnail
from gcahng.inference.images import rgb_image
from gcahng.inference.store import Neighbour, PictureStore
from gcahng.pages import data_uri, fill_template
from gcahng.reports.gallery import GalleryEntry


def write_gallery(
    path: str | Path, store: PictureStore, found: Mapping[Path, Sequence[Neighbour]]
) -> None:
    """Write a page with a row for each query: the picture, then its neighbours, nearest first.

    Args:
        path: The file to write; it contains the pictures, so it can be moved or sent.
        store: Gives the thumbnails.
        found: The neighbours of each query, by its file.
    """
    # What all paths share would fill the captions and hide what tells them apart.
    parents = {os.path.dirname(near.path) for neighbours in found.values() for near in neighbours}
    folder = os.path.commonpath(parents) if parents else ""
    rows = []
    for picture, neighbours in found.items():
        found_rows = store.rows([near.id for near in neighbours], ["id", "thumbnail"])
        thumbnails = {one["id"]: bytes(one["thumbnail"]) for one in found_rows}
        query = data_uri(thumbnail(rgb_image(picture)), "image/jpeg")
        row = [GalleryEntry("query", printable(str(picture)), "query", query)]
        for near in neighbours:
            caption = " ".join(filter(None, [f"{near.similarity:.3f}", near.label]))
            source = data_uri(thumbnails.get(near.id, b""), "image/jpeg")
            name = os.path.relpath(near.path, folder)
            row.append(GalleryEntry("found", name, caption, source))
        rows.append(row)
    title = f"Search in {printable(store.folder)}"
    page = fill_template("gcahng.reports", "search.html", title=title, folder=folder, rows=rows)
    write_text(path, page)
