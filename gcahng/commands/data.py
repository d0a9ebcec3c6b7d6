"""Check a data set from the command line, after fetching it where that is asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import DownloadColumn
from rich.text import Text

from gcahng.commands.terminal import counting_bar
from gcahng.data import (
    DATASETS,
    ImageDataset,
    Part,
    PublishedDataset,
    Verification,
    download,
    verify,
)
from gcahng.reports.tables import Column, results_table

COLUMNS = (
    Column("part", "part"),
    Column("images", "images", "integer"),
    Column("expected_images", "expected", "integer"),
    Column("classes", "classes", "integer"),
    Column("expected_classes", "expected", "integer"),
)


def check_data_set(
    name: str, root: Path, fetch: bool, args: dict[str, Any], console: Console
) -> bool:
    """Print what a data set holds and what is wrong with it.

    Args:
        name: A key of `DATASETS`.
        root: The folder of all data sets, or the data set's own.
        fetch: Download it first.
        args: The data set's own arguments.
        console: Where to print.

    Returns:
        Whether all is well.

    Raises:
        OSError: If it is not there, or cannot be fetched.
        ValueError: If there is no such data set, or it cannot be had without a person.
    """
    dataset = DATASETS.find(name)
    if fetch:
        with counting_bar(f"download {name}", console, DownloadColumn()) as report:
            home = download(dataset, root, report)
        console.print(f"{name} is in {home}", soft_wrap=True, highlight=False)
    with counting_bar(f"check {name}", console) as report:
        found = verify(name, root, report, **args)
    console.print(results_table([_row(part) for part in found.parts], COLUMNS, found.name))
    for line in _lines(found, dataset):
        console.print(line, soft_wrap=True, highlight=False)
    return not found.problems


def _row(part: Part) -> dict[str, Any]:
    return {
        "part": part.name,
        "images": part.size.images,
        "expected_images": part.expected and part.expected.images,
        "classes": part.size.classes,
        "expected_classes": part.expected and part.expected.classes,
    }


def _lines(found: Verification, dataset: type[ImageDataset]) -> Iterator[Text]:
    # Text, not str: a name such as '[a]' is no markup.
    yield from (Text(f"wrong: {problem}", "red") for problem in found.problems)
    if found.problems and issubclass(dataset, PublishedDataset):
        yield Text(f"get it again: {dataset.source.instructions}")
    yield from (Text(f"note: {note}") for note in found.notes)
    if not found.problems:
        yield Text("All is well.", "green")
