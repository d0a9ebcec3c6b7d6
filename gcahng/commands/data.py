"""`gcahng data verify`: check every file of a data set."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gcahng.commands.terminal import console, counting_bar, loading

if TYPE_CHECKING:
    from gcahng.data import ImageDataset, Verification
DataSettings = Annotated[
    list[str] | None, typer.Argument(help="The data set's arguments, each key=value.")
]
DataRoot = Annotated[
    Path | None, typer.Option("--root", help="Folder of all data sets, or the data set's own.")
]


def verify(
    name: Annotated[
        str,
        typer.Argument(help="A data set of gcahng list data, such as folder or cub."),
    ],
    settings: DataSettings = None,
    root: DataRoot = None,
    download: Annotated[
        bool, typer.Option("--download", help="Download it first, if its source is open.")
    ] = False,
) -> None:
    """Check every file of a data set: counts, missing and unreadable files, classes.

    Example: gcahng data verify cub --root /data --download

    Example: gcahng data verify folder --root photos test_share=0.3
    """
    with loading():
        from gcahng.data import DATASETS
        from gcahng.data import download as fetch
        from gcahng.data import verify as check
        from gcahng.reports.tables import Column, results_table

    dataset, folder = DATASETS.find(name), _folder(root)
    args = _arguments(name, settings)
    if download:
        home = fetch(dataset, folder)
        console.print(f"{name} is in {home}", soft_wrap=True)
    with counting_bar(f"check {name}", console) as report:
        found = check(name, folder, report, **args)
    columns = [
        Column("part", "part"),
        Column("images", "images", "integer"),
        Column("expected_images", "expected", "integer"),
        Column("classes", "classes", "integer"),
        Column("expected_classes", "expected", "integer"),
    ]
    rows = []
    for part in found.parts:
        row = {"part": part.name, "images": part.size.images, "classes": part.size.classes}
        if part.expected:
            row["expected_images"] = part.expected.images
            row["expected_classes"] = part.expected.classes
        rows.append(row)
    console.print(results_table(rows, columns, found.name))
    for line in _lines(found, dataset):
        console.print(line, soft_wrap=True)
    if found.problems:
        raise typer.Exit(1)


def _arguments(name: str, settings: list[str] | None) -> dict[str, Any]:
    """Parse and check a data set's arguments."""
    from gcahng.config import parse_settings
    from gcahng.data import DATASETS

    return DATASETS.check(name, parse_settings(settings or []))


def _lines(found: "Verification", dataset: "type[ImageDataset]") -> Iterator[Text]:
    from gcahng.data import PublishedDataset

    # Text, not str, which rich would parse: a file name may contain markup such as '[a]'.
    yield from (Text(f"wrong: {problem}", "red") for problem in found.problems)
    if found.problems and issubclass(dataset, PublishedDataset):
        yield Text(f"get it again: {dataset.source.instructions}")
    yield from (Text(f"note: {note}") for note in found.notes)
    if not found.problems:
        yield Text("No problems found.", "green")


def _folder(root: Path | None) -> Path:
    """The folder of all data sets."""
    from gcahng.config import default_root
    from gcahng.files import refuse_address

    if root is None:
        return default_root()
    refuse_address(root, "--root")
    return root.expanduser()
