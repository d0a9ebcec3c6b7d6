"""Print the table of a benchmark and write it to files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from gcahng.files import write_text
from gcahng.reports.tables import Column, markdown_table, results_table
from gcahng.runs.csv_rows import csv_text


def report_benchmark(
    console: Console,
    out: Path | None,
    name: str,
    title: str,
    rows: Sequence[dict[str, Any]],
    columns: Sequence[Column],
    notes: Sequence[str],
) -> None:
    """Print a table with its notes, and write it unless `out` is None.

    Args:
        console: Where to print.
        out: Folder for the files of `write_benchmark`, or None.
        name: Of both files.
        title: Heading of the table.
        rows: One mapping per line.
        columns: Columns of the table.
        notes: Paragraphs below the table.
    """
    console.print(results_table(rows, columns, title))
    console.print("\n".join(notes), highlight=False)
    if out is not None:
        write_benchmark(out, name, title, rows, columns, notes)


def write_benchmark(
    out: Path,
    name: str,
    title: str,
    rows: Sequence[dict[str, Any]],
    columns: Sequence[Column],
    notes: Sequence[str],
) -> None:
    """Write a table with its notes as `<name>.md`, and its rows as `<name>.csv`.

    Args:
        out: Folder to write into.
        name: Of both files.
        title: Heading of the table.
        rows: One mapping per line.
        columns: Columns of both files.
        notes: Paragraphs below the table.
    """
    lines = [f"# {title}\n", markdown_table(rows, columns)]
    write_text(out / f"{name}.md", "\n".join([*lines, *(f"{note}\n" for note in notes)]))
    write_text(out / f"{name}.csv", csv_text(rows, [column.key for column in columns]))
