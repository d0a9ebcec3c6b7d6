"""`gcahng embed`: the embeddings of pictures as a file."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.options import Device, Last, Model, Trust, Weights
from gcahng.commands.terminal import console, counting_bar, loading, print_unreadable


def embed(
    model: Model,
    paths: Annotated[list[Path], typer.Argument(help="Pictures, and folders of them.")],
    out: Annotated[
        Path,
        typer.Option(help="File to write, .npy; a .csv beside it has the rows' paths."),
    ],
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Scale embeddings to L2 norm 1.")
    ] = False,
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
    with counting_bar("embed", console) as progress:
        left_out = write_embeddings(embedder, files, out, normalize=normalize, progress=progress)
    print_unreadable(left_out)
    count = len(files) - len(left_out)
    line = f"{out}: {count:,} embeddings of {embedder.dim} channels"
    console.print(line, soft_wrap=True)
