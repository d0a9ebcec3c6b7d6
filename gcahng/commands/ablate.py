"""`gcahng ablate`: a grid of experiments over seeds."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.terminal import console


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
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the runs first.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the cells, train none.")] = False,
) -> None:
    """Train a grid of experiments over seeds; compare them in a table and a plot.

    Finished runs are not trained again, and interrupted ones continue.

    Example: gcahng ablate ablations/generators --seeds 5 --out docs/results
    """
    from gcahng.ablation import read_grid, run_grid, show_grid
    from gcahng.files import check_folder

    check_folder(out, "--out")
    read = read_grid(grid, seeds)
    if dry_run:
        show_grid(read, console, only or [])
    elif not run_grid(read, console, only or [], jobs, out, fresh):
        raise typer.Exit(1)
