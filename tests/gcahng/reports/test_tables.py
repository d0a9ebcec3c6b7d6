import io
import math
import re

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
