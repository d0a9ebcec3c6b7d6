"""`gcahng embed` and `index`: the embeddings of pictures as a file, or as a store to search."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.options import Device, Last, Model, Trust, Weights
from gcahng.commands.terminal import console, counting_bar, loading, print_unreadable


def embed(
    model: Model,
    paths: Annotated[list[Path], typer.Argument(help="Pictures, and folders of them.")],
    out: Annotated[
        Path, typer.Option(help="File to write, .npy; a .csv beside it has the rows' paths.")
    ],
    weights: Weights = None,
    last: Last = False,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Embed pictures and write the embeddings, with path and class of each.

    Example: gcahng embed runs/photos-seed0 photos --out photos.npy
    """
    with loading():
        from gcahng.inference.embed import check_output, find_pictures, write_embeddings
        from gcahng.inference.embedder import load_embedder

    check_output(out)
    files = find_pictures(paths)
    embedder = load_embedder(model, weights=weights, last=last, device=device, trust=trust)
    with counting_bar("embed") as progress:
        left_out = write_embeddings(embedder, files, out, progress=progress)
    print_unreadable(left_out)
    count = len(files) - len(left_out)
    line = f"{out}: {count:,} embeddings of {embedder.dim} channels"
    console.print(line, soft_wrap=True)


def index(
    model: Model,
    folder: Annotated[Path, typer.Argument(help="Pictures, in subfolders by class or not.")],
    store: Annotated[Path, typer.Option(help="Folder of the store, made if missing.")],
    ann: Annotated[
        bool, typer.Option("--ann", help="Build an index for approximate search.")
    ] = False,
    weights: Weights = None,
    last: Last = False,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Embed the pictures of a folder into a store that gcahng search and serve use.

    Run it again when the folder has changed: only new and changed pictures are embedded.

    Example: gcahng index timm/vit_small_patch14_dinov2.lvd142m photos --store photos.store
    """
    with loading():
        from gcahng.inference.embedder import load_embedder
        from gcahng.inference.indexing import index_folder

    embedder = load_embedder(model, weights=weights, last=last, device=device, trust=trust)
    with counting_bar("index") as progress:
        made, changes = index_folder(embedder, folder, store, ann=ann, progress=progress)
    print_unreadable(changes.unreadable)
    console.print(f"{store}: {len(made):,} pictures ({changes})", soft_wrap=True)
