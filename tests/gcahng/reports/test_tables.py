import io
import math
import re

import pytest
from rich.console import Console

from gcahng.reports.tables import Column, markdown_table, results_table

COLUMNS = (
    Column("name", "Run"),
    Column("recall@1", "R@1 %", ".2%"),
    Column("seconds", "Time s", ".1f"),
    Column("peak_memory_mib", "Memory MiB", ".0f"),
)
ROWS = [
    {"name": "gca|hng", "recall@1": 0.72345, "seconds": 12.34, "peak_memory_mib": 467.8},
    {"name": "[b]plain[/b]", "recall@1": math.nan, "seconds": None},
    {"name": "paper", "recall@1": "72.3 ± 0.3"},
]


def test_markdown():
    assert markdown_table(ROWS, COLUMNS).splitlines() == [
        "| Run | R@1 % | Time s | Memory MiB |",
        "| --- | ---: | ---: | ---: |",
        "| gca\\|hng | 72.34 | 12.3 | 468 |",
        "| [b]plain[/b] | – | – | – |",
        "| paper | 72.3 ± 0.3 | – | – |",
    ]


def test_terminal_table_shows_the_same_cells_and_no_markup():
    console = Console(file=io.StringIO(), width=100)
    console.print(results_table(ROWS, COLUMNS, title="Results"))
    text = console.file.getvalue()
    assert "Results" in text
    lines = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()[3:] if line.strip()]
    assert lines == [
        ["gca|hng", "72.34", "12.3", "468"],
        ["[b]plain[/b]", "–", "–", "–"],
        ["paper", "72.3 ± 0.3", "–", "–"],
    ]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("", "a", "a"),
        (".0f", 12.0, "12"),
        (".4g", 0.000123456, "0.0001235"),
        (".2%", 1, "100.00"),
        (".1f", 0, "0.0"),
        (".0f", 1023.6, "1024"),
        (".4g", math.inf, "inf"),
    ],
)
def test_formats(name, value, expected):
    assert Column("x", "X", name).show({"x": value}) == expected
