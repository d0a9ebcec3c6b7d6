"""`gcahng index`: make a folder of pictures searchable."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.options import Device, Last, Model, Trust, Weights
from gcahng.commands.terminal import console, counting_bar, loading, print_unreadable


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
    with counting_bar("index", console) as progress:
        made, changes = index_folder(embedder, folder, store, ann=ann, progress=progress)
    print_unreadable(changes.unreadable)
    console.print(f"{store}: {len(made):,} pictures ({changes})", soft_wrap=True)
