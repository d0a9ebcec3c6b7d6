"""`gcahng import-checkpoint` and `export-checkpoint`: the authors' published checkpoints."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.options import Last, Overrides, Source
from gcahng.commands.terminal import console


def import_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(help="A published .pth file.")],
    overrides: Overrides = None,
    config: Annotated[
        str | None,
        typer.Option(help="Its experiment; default: the published set-up that it fits."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder; default OUTPUT/NAME-published.")
    ] = None,
) -> None:
    """Make a run of a checkpoint that the method's authors published.

    Example: gcahng import-checkpoint bestR_1.pth data.root=/data
    """
    from gcahng.runs.published import import_checkpoint as make_run

    settings, folder = make_run(checkpoint, run, config, overrides or [])
    whole = settings.generator is not None and settings.generator.name == "gca_hng"
    parts = "embedder, graph and classifier" if whole else "embedder alone"
    console.print(
        f"{folder.path}: {settings.name}, {parts}\nmeasure it with: gcahng evaluate {folder.path}",
        soft_wrap=True,
        highlight=False,
    )


def export_checkpoint(
    source: Source,
    target: Annotated[Path, typer.Argument(help="The .pth file to write.")],
    last: Last = False,
) -> None:
    """Write a run's model in the layout of the published checkpoints.

    Example: gcahng export-checkpoint runs/cub_resnet50-seed0 cub_resnet50.pth
    """
    from gcahng.runs.published import export_checkpoint as write

    keys = write(source, target, last=last)
    console.print(f"wrote {target}: {len(keys)} keys", soft_wrap=True, highlight=False)
