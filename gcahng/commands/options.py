"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[list[str] | None, typer.Argument(help="Settings to change: key.path=value.")]
Last = Annotated[bool, typer.Option("--last", help="The run's last epoch, not its best.")]
Root = Annotated[Path | None, typer.Option(help="Folder of all data sets; default as in training.")]
Trust = Annotated[bool, typer.Option("--trust", help="Import your classes that the settings name.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or cuda:1; default: a GPU if any.")]
MODEL = (
    "A run folder, checkpoint, shared model, published .pth, user/repo; or a backbone without "
    "training: timm/NAME, torchvision/NAME."
)
Model = Annotated[str, typer.Argument(help=MODEL)]
Weights = Annotated[str | None, typer.Option(help="Of a backbone: a file, or package:NAME.")]
MovedModel = Annotated[str | None, typer.Option(help="Where the store's model is, if moved.")]
Source = Annotated[Path, typer.Argument(help="A run folder or a checkpoint file.")]
