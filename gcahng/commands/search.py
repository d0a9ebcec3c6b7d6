"""`gcahng search`: the pictures of a store that are most similar to others."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcahng.commands.options import Device, MovedModel, Trust, Weights
from gcahng.commands.terminal import console, loading, print_unreadable
from gcahng.files import check_file, printable, write_text

if TYPE_CHECKING:
    from gcahng.inference.store import Neighbour, PictureStore

Json = Annotated[bool, typer.Option("--json", help="Print a line of JSON for each picture.")]


def search(
    store: Annotated[str, typer.Argument(help="What gcahng index made.")],
    pictures: Annotated[list[Path], typer.Argument(help="Files to search for.")],
    k: Annotated[int, typer.Option("-k", min=1, max=10_000, help="Number of neighbours.")] = 10,
    where: Annotated[str | None, typer.Option(help="In SQL, such as \"label = 'cup'\".")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every picture.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with the pictures.")] = None,
    as_json: Json = False,
    model: MovedModel = None,
    weights: Weights = None,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Find the pictures of a store that are most similar to some pictures.

    Example: gcahng search photos.store new.jpg -k 5 --where "label = 'cup'" --html found.html
    """
    if html is not None:
        check_file(html, "--html", (".html", ".htm"))
    with loading():
        from gcahng.inference.embedder import load_store_model
        from gcahng.inference.store import PictureStore
        from gcahng.reports.tables import Column, results_table

        opened = PictureStore(store)  # which imports LanceDB
    embedder = load_store_model(opened, model, weights=weights, device=device, trust=trust)
    opened.count(where)  # A wrong condition is refused before the first picture.
    columns = [Column("similarity", "similarity", ".4g")]
    columns += [Column(name, name) for name in ("label", "split", "path")]
    found, unreadable = {}, []
    for picture in pictures:
        try:
            vector = embedder.embed(picture)[0]
        except (OSError, ValueError) as error:
            unreadable.append(error)
            continue
        found[picture] = opened.search(vector, k, where=where, exact=exact)
        rows, title = [asdict(near) for near in found[picture]], printable(str(picture))
        if as_json:
            print(json.dumps({"picture": title, "neighbours": rows}))
        elif rows:
            shown = [{key: None if one == "" else one for key, one in row.items()} for row in rows]
            console.print(results_table(shown, columns, title))
        else:
            nothing = f"No picture of the store satisfies {where}." if where else "No pictures."
            console.print(nothing, soft_wrap=True)
    if html is not None and found:
        _write_page(html, opened, found)
        if not as_json:
            console.print(f"page: {html}", soft_wrap=True)
    print_unreadable(unreadable)
    if unreadable:
        raise typer.Exit(1)


def _write_page(
    path: Path, store: "PictureStore", found: "Mapping[Path, Sequence[Neighbour]]"
) -> None:
    """Write a page with a row for each query: the picture, then its neighbours, nearest first."""
    from gcahng.inference.embed import thumbnail
    from gcahng.inference.images import rgb_image
    from gcahng.pages import data_uri, fill_template
    from gcahng.reports.gallery import GalleryEntry

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
            row.append(GalleryEntry("found", os.path.relpath(near.path, folder), caption, source))
        rows.append(row)
    title = f"Search in {printable(store.folder)}"
    page = fill_template("gcahng.reports", "search.html", title=title, folder=folder, rows=rows)
    write_text(path, page)
