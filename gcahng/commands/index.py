"""`gcahng index`: make a folder of pictures searchable."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.options import Device, Last, Model, Trust, UnreadableFiles, Weights
from gcahng.commands.terminal import console, counting_bar, loading, print_unreadable


def index(
    model: Model,
    folder: Annotated[Path, typer.Argument(help="Pictures, in subfolders by class or not.")],
    store: Annotated[
        str, typer.Option(help="Folder of the store, or an address that LanceDB opens.")
    ],
    ann: Annotated[
        bool,
        typer.Option("--ann", help="Build an index for approximate search, and measure it."),
    ] = False,
    forget: Annotated[
        list[Path] | None,
        typer.Option(help="Delete the pictures of a folder that is gone from the store."),
    ] = None,
    unreadable: UnreadableFiles = "skip",
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
        from gcahng.inference.indexing import index_folder, measure_recall

    embedder = load_embedder(model, weights=weights, last=last, device=device, trust=trust)
    with counting_bar("index", console) as progress:
        made, changes = index_folder(
            embedder,
            folder,
            store,
            ann=ann,
            forget=forget or [],
            stop_at_unreadable=unreadable == "stop",
            progress=progress,
        )
    print_unreadable(changes.unreadable)
    print_line = f"{store}: {len(made):,} pictures ({changes})"
    console.print(print_line, soft_wrap=True)
    if ann:
        console.print(f"{measure_recall(made)}", soft_wrap=True)
