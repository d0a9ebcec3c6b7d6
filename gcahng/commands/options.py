"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings to change, each key.path=value.")
]
Last = Annotated[bool, typer.Option("--last", help="The run's last epoch, not its best.")]
Root = Annotated[Path | None, typer.Option(help="Folder of all data sets; default as in training.")]
Trust = Annotated[
    bool, typer.Option("--trust", help="Import classes of yours that the run's settings name.")
]
Source = Annotated[Path, typer.Argument(help="A run folder or a checkpoint file.")]
