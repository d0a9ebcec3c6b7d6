"""`gcahng demo`: recipes side by side, and what they start from."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.terminal import console, loading

GRID = "ablations/demo"


def demo(
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How many seeds, from 0.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results; default the runs' own.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the runs first.")] = False,
) -> None:
    """Train recipes on glyphs side by side; print a table, and write a page with pictures.

    Finished runs are not trained again, and interrupted ones continue.

    Example: gcahng demo --seeds 3
    """
    from gcahng.files import check_folder
    from gcahng.studies import read_grid

    check_folder(out, "--out")
    with loading():
        grid = read_grid(GRID, seeds)
        from gcahng.studies import run_grid
    if not run_grid(grid, console, out=out, fresh=fresh):
        raise typer.Exit(1)
