"""`gcahng data verify`: check every file of a data set."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gcahng.commands.terminal import console, counting_bar, loading


def verify(
    name: Annotated[
        str, typer.Argument(help="A data set of gcahng list data, such as folder or cub.")
    ],
    settings: Annotated[
        list[str] | None, typer.Argument(help="The data set's arguments, each key=value.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of all data sets, or its own.")] = None,
) -> None:
    """Check every file of a data set: counts, missing and unreadable files, classes.

    Example: gcahng data verify cub --root /data

    Example: gcahng data verify folder --root photos test_share=0.3
    """
    from gcahng.config.experiment import default_root
    from gcahng.config.layers import parse_overrides
    from gcahng.files import refuse_address

    with loading():
        from gcahng.data import DATASETS, PublishedDataset
        from gcahng.data import verify as check
        from gcahng.reports.tables import Column, results_table

    dataset = DATASETS.find(name)
    if root is not None:
        refuse_address(root, "--root")
    folder = default_root() if root is None else root.expanduser()
    args = DATASETS.check(name, parse_overrides(settings or []))
    with counting_bar(f"check {name}") as report:
        found = check(name, folder, report, **args)
    columns = [Column("part", "part"), *(Column(n, n, ".0f") for n in ("images", "classes"))]
    rows = [{"part": part.name, **vars(part.size)} for part in found.parts]
    console.print(results_table(rows, columns, found.name))
    # Text, not str, which rich would parse: a file name may contain markup such as '[a]'.
    lines = [Text(f"wrong: {problem}", "red") for problem in found.problems]
    lines += [Text(f"note: {note}") for note in found.notes]
    lines += [] if found.problems else [Text("No problems found.", "green")]
    for line in lines:
        console.print(line, soft_wrap=True)
    if found.problems and issubclass(dataset, PublishedDataset):
        console.print(f"get it again: {dataset.instructions}", soft_wrap=True)
    if found.problems:
        raise typer.Exit(1)
