"""Results as a terminal table or as Markdown."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from gcahng.runs.record import RunRecord, figure_title, figures_after

Row = Mapping[str, Any]

MISSING = "–"


@dataclass(frozen=True)
class Column:
    """A column: the key of its values in a row, its title, and their format, such as `.1f`.

    `.2%` is shown without the sign. A column without a format is of text.

    >>> Column("recall@1", "R@1 [%]", ".2%").show({"recall@1": 0.7234})
    '72.34'
    """

    key: str
    title: str
    format: str = ""

    def show(self, row: Row) -> str:
        """Format the row's value as text; a dash where it is missing, None or NaN."""
        value = row.get(self.key)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return MISSING
        # Text in a column of numbers (such as '71.2 ± 0.3') is shown as it is.
        return value if isinstance(value, str) else format(value, self.format).rstrip("%")


CLASS_COLUMNS = (
    Column("class", "class"),
    Column("queries", "queries", ".0f"),
    Column("recall@1", "R@1 [%]", ".2%"),
    Column("taken_for", "most often taken for"),
    Column("taken", "times", ".0f"),
)


def results_table(
    rows: Sequence[Row], columns: Sequence[Column], title: str | None = None
) -> Table:
    """Make a table for the terminal, text aligned left and numbers right."""
    # Light lines and narrow gaps, so that a table of results fits 80 columns.
    table = Table(title=title and Text(title), box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    for column in columns:
        justify: JustifyMethod = "right" if column.format else "left"
        table.add_column(Text(column.title), justify=justify, no_wrap=bool(column.format))
    for row in rows:
        # Text, not str: rich would read a name such as '[a]' as markup.
        table.add_row(*(Text(column.show(row)) for column in columns))
    return table


def markdown_table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Make the same table in Markdown, ending in a newline."""
    lines = [
        [column.title for column in columns],
        ["---:" if column.format else "---" for column in columns],
        *([column.show(row) for column in columns] for row in rows),
    ]
    # A bar or a line break would end the cell.
    cells = ([text.replace("|", "\\|").replace("\n", " ") for text in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def figure_columns(figures: Iterable[str]) -> list[Column]:
    """Columns for retrieval figures by their names; shown in percent."""
    return [Column(name, figure_title(name), ".2%") for name in figures]


def result_columns(record: RunRecord) -> list[Column]:
    """The columns of a run's results: every test figure, time and memory."""
    return [
        Column("recipe", "run"),
        Column("epoch", "epoch"),
        *figure_columns(figures_after(record, "last")),
        Column("seconds", "s", ".1f"),
        Column("peak_memory_mib", "MiB", ".0f"),
    ]


def result_rows(record: RunRecord) -> list[dict[str, Any]]:
    """Test figures before training if measured, after the last epoch, and after the best epoch."""
    results = record.results
    last = {"last": f"last ({results['epochs']})"} if results["epochs"] else {}
    names = start_names(results) | last | {"best": f"best ({results['best_epoch']})"}
    rows: list[dict[str, Any]] = []
    for which, name in names.items():
        figures = figures_after(record, which)
        if figures or which in ("last", "best"):
            rows.append({"recipe": "" if rows else record.name, "epoch": name} | figures)
    rows[-2 if results["epochs"] else -1] |= {
        name: results[name] for name in ("seconds", "peak_memory_mib")
    }
    return rows


def start_names(results: Mapping[str, float]) -> dict[str, str]:
    """What was measured before a training, by the prefix of its figures: what to call it."""
    pixels = results.get("untrained_px")
    untrained = "untrained" if pixels is None else f"untrained, {pixels:.0f} px"
    names = {"zero_shot/untrained": untrained, "zero_shot/features": "features before training"}
    return names | ({"zero_shot/head": "head before training"} if results.get("epochs") else {})
