"""`gcahng ablate` and `tune`: a grid of experiments, and the search for their best settings."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.terminal import console, loading
from gcahng.reasons import install_extra


def ablate(
    grid: Annotated[str, typer.Argument(help="A grid's YAML file, or the name of a packaged one.")],
    seeds: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many seeds; default as the grid says.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Runs at a time; default as many as fill the cores."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of results; default the runs'.")] = None,
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
        show_grid(read, console)
    elif not run_grid(read, console, jobs, out):
        raise typer.Exit(1)


def tune(
    study: Annotated[
        str, typer.Argument(help="A study's YAML file, or the name of a packaged one.")
    ],
    trials: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="Trials (of each rival); default as the study says."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what is varied.")] = False,
) -> None:
    """Search for the best settings with Optuna, by a figure on validation classes.

    Continues where it stopped. Started several times, also on several machines that share the
    folder, the processes divide the trials among themselves.

    Example: gcahng tune studies/glyphs --trials 20
    """
    try:
        from gcahng.studies.study import read_study
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise ImportError(f"{error}; install it with {install_extra('tune')}") from None
    with loading():
        read = read_study(study, trials)
        from gcahng.studies.tune import show_study
        from gcahng.studies.tune import tune as work
    if dry_run:
        show_study(read, console)
    elif not work(read, console):
        raise typer.Exit(1)
