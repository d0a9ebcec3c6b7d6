"""Result rows as a terminal table or as Markdown, from one description of the columns."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from gcahng.files import csv_text, write_text

Row = Mapping[str, object]

#: How a number is shown, by the name of a column's format.
FORMATS: dict[str, Callable[[float], str]] = {
    "text": str,
    "integer": lambda value: f"{value:.0f}",
    "number": lambda value: f"{value:.4g}",
    "percent": lambda value: f"{100 * value:.2f}",
    "points": lambda value: f"{100 * value:+.2f}",
    "seconds": lambda value: f"{value:.1f}",
    "mib": lambda value: f"{value:.0f}",
}
MISSING = "–"


@dataclass(frozen=True)
class Column:
    """One column: the key of its values in a row, its title and its format.

    Attributes:
        key: Key of the value in a row.
        title: Heading, with the unit.
        format: A name of `FORMATS`; `percent` and `points` (with a sign) take
            fractions. Default `text`.

    >>> Column("recall@1", "R@1 [%]", "percent").show({"recall@1": 0.7234})
    '72.34'
    """

    key: str
    title: str
    format: str = "text"

    def show(self, row: Row) -> str:
        """Format the row's value as text; a dash where it is missing, None or NaN."""
        value = row.get(self.key)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return MISSING
        # Text in a column of numbers (such as '71.2 ± 0.3') is shown as it is.
        return str(value) if isinstance(value, str) else FORMATS[self.format](value)  # type: ignore[arg-type]


def results_table(
    rows: Sequence[Row], columns: Sequence[Column], title: str | None = None
) -> Table:
    """Make a table for the terminal, text aligned left and numbers right.

    Args:
        rows: One mapping per line.
        columns: What to show of each row.
        title: Heading; default none.

    >>> from rich.console import Console
    >>> columns = [Column("run", "run"), Column("map@r", "MAP@R", "percent")]
    >>> Console().print(results_table([{"run": "a", "map@r": 0.5}], columns))
    run MAP@R
    ─────────
    a   50.00
    """
    # Light lines and narrow gaps, so that a table of results fits 80 columns.
    table = Table(title=title and Text(title), box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    for column in columns:
        justify: JustifyMethod = "left" if column.format == "text" else "right"
        table.add_column(Text(column.title), justify=justify, no_wrap=column.format != "text")
    for row in rows:
        # Text, not str: rich would read a name such as '[a]' as markup.
        table.add_row(*(Text(column.show(row)) for column in columns))
    return table


def markdown_table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Make the same table in Markdown, ending in a newline.

    Args:
        rows: One mapping per line.
        columns: What to show of each row.

    >>> columns = [Column("run", "run"), Column("map@r", "MAP@R", "percent")]
    >>> print(markdown_table([{"run": "a", "map@r": 0.5}], columns), end="")
    | run | MAP@R |
    | --- | ---: |
    | a | 50.00 |
    """
    lines = [
        [column.title for column in columns],
        ["---" if column.format == "text" else "---:" for column in columns],
        *([column.show(row) for column in columns] for row in rows),
    ]
    return "".join(f"| {' | '.join(_cell(text) for text in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    """Escape what would end the Markdown cell: a bar or a line break."""
    return text.replace("|", "\\|").replace("\n", " ")


def print_table(
    console: Console,
    rows: Sequence[Row],
    columns: Sequence[Column],
    title: str,
    notes: Sequence[str],
) -> None:
    """Print a table with a title above it and paragraphs below it."""
    console.print(results_table(rows, columns, title))
    console.print("\n".join(notes), highlight=False)


def write_table(
    path: Path, rows: Sequence[Row], columns: Sequence[Column], title: str, notes: Sequence[str]
) -> None:
    """Write a table with a title and notes as `path.md`, and its rows as `path.csv`."""
    text = "\n".join([f"# {title}\n", markdown_table(rows, columns), *(f"{n}\n" for n in notes)])
    keys = [column.key for column in columns]
    write_text(path.with_suffix(".md"), text)
    chosen = [{key: row.get(key) for key in keys} for row in rows]
    write_text(path.with_suffix(".csv"), csv_text(chosen, keys))
