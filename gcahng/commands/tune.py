"""`gcahng tune`: search for the best settings of experiments."""

from typing import Annotated

import typer

from gcahng.commands.terminal import console, loading
from gcahng.reasons import install_extra


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
