"""`gcahng ablate`: a grid of experiments over seeds."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.terminal import console, loading


def ablate(
    grid: Annotated[str, typer.Argument(help="A grid's YAML file, or the name of a packaged one.")],
    seeds: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many seeds; default as the grid says.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Runs at a time; default as many as fill the cores."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A cell to train, with those it needs; repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results; default the runs' own.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the cells, train none.")] = False,
) -> None:
    """Train a grid of experiments over seeds; compare them in a table and a plot.

    Finished runs are not trained again, and interrupted ones continue. Started several times, also
    on several machines that share the folder, the processes divide the runs among themselves.

    Example: gcahng ablate ablations/generators --seeds 5 --out docs/results
    """
    from gcahng.files import check_folder
    from gcahng.studies import read_grid

    check_folder(out, "--out")
    with loading():
        read = read_grid(grid, seeds)
        from gcahng.studies import run_grid, show_grid
    if dry_run:
        show_grid(read, console, only or [])
    elif not run_grid(read, console, only or [], jobs, out):
        raise typer.Exit(1)
