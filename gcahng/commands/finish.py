"""`gcahng finish`: replace the trained last layer of a finished run."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.options import Root, Trust
from gcahng.commands.terminal import loading


def finish(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    root: Root = None,
    trust: Trust = False,
) -> None:
    """Replace the last layer of a finished run by one in closed form, and measure it again.

    As a training with embedder.finish=whitening does at its end; the kept epoch stays.

    Example: gcahng finish runs/photos-seed0
    """
    with loading():
        from gcahng.commands.run import finish_run
        from gcahng.runs.folder import RunFolder

    finish_run(RunFolder(run), root, trust=trust)
