"""`gcahng demo`: recipes side by side, and what they start from."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.terminal import console, loading

GRID, SHOWN = "ablations/demo", "GCA-HNG"


def demo(
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How many seeds, from 0.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results; default the runs' own.")
    ] = None,
) -> None:
    """Train recipes on glyphs side by side; print a table, and write a page.

    Finished runs are not trained again, and interrupted ones continue.

    Example: gcahng demo --seeds 3
    """
    from gcahng.files import check_folder
    from gcahng.studies import read_grid

    check_folder(out, "--out")
    with loading():
        grid = read_grid(GRID, seeds)
        from gcahng.studies import run_grid
    if not run_grid(grid, console, out=out):
        raise typer.Exit(1)
    run = grid.folder / f"{SHOWN}-seed{grid.seeds[0]}"
    console.print(f"a report with pictures: gcahng train --resume {run}", soft_wrap=True)
