"""The report of a grid, whole or not yet: Markdown, one HTML page, every run as CSV, pictures."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from gcahng.ablation.bars import draw_bars, save_picture
from gcahng.ablation.grid import Grid
from gcahng.ablation.page import HEADINGS, Page, html_page, markdown_page
from gcahng.ablation.summary import Summary, paired_difference, summarize
from gcahng.ablation.verdict import leaders, verdict
from gcahng.comparison import COMPARED, csv_text, span, spread
from gcahng.files import atomic_write, write_text
from gcahng.reports.result_table import figure_columns
from gcahng.reports.tables import Column
from gcahng.runs.record import figures_after, selection_note

PICTURE = (
    "Bars are Δ, from the mean of the reference (the line, its name in bold), and whiskers its "
    "interval; dots are single runs, as high in their row as those of the same seed in theirs. The "
    "axes do not begin at zero; the numbers are means."
)
TUNING = (
    "These classes are for choosing settings: the best of many cells is ahead by luck too, so it "
    "is to be measured once more, on the test split with other seeds."
)
COSTS = (
    "Seconds: mean training time without warm start and evaluation, by runs that may have shared "
    "the machine. Embedder, generator: how many parameters training changes; those of the metric "
    "loss, such as proxies, are not among them."
)


def report_grid(grid: Grid, out: str | Path | None = None) -> Path:
    """Write what the runs on disk have to say, finished or not.

    Args:
        grid: The grid.
        out: Folder for `NAME.md`, `.html`, `.csv`, `.png` and `.svg`; by default the runs' own.

    Returns:
        The Markdown file.
    """
    folder, name = Path(out or grid.folder), grid.name
    summaries = summarize(grid)
    page = _describe(grid, summaries)
    measured = [m for m in ("map@r", "recall@1") if any(s.figures(m) for s in summaries.values())]
    if measured:
        write_text(folder / f"{name}.csv", csv_text(_every_run(summaries)))
        picture = draw_bars(summaries, grid.reference, measured, grid.title)
        for kind in ("png", "svg"):
            with atomic_write(folder / f"{name}.{kind}") as temporary:
                save_picture(picture, temporary, kind)
    panels = [draw_bars(summaries, grid.reference, [metric]) for metric in measured]
    write_text(folder / f"{name}.html", html_page(page, panels))
    target = folder / f"{name}.md"
    write_text(target, markdown_page(page, f"{name}.png" if measured else None))
    return target


def command(grid: Grid, *options: str) -> str:
    """The line that trains the grid, or goes on with it."""
    words = ["ablate", grid.source, "--seeds", str(len(grid.seeds)), *options]
    return f"python -m gcahng {shlex.join(words)}"


def table_columns() -> list[Column]:
    """The columns of the table, in Markdown, HTML and on the terminal."""
    figures = figure_columns(COMPARED)
    return [
        Column("cell", "cell"),
        Column("n", "n", "integer"),
        *figures,
        *(Column(f"Δ {c.key}", f"Δ {c.title} [95 % CI]", "number") for c in figures),
        Column("seconds", "seconds", "seconds"),
        Column("epochs", "epochs", "integer"),
        Column("embedder", "embedder", "integer"),
        Column("generator", "generator", "integer"),
    ]


def table_rows(grid: Grid, summaries: Mapping[str, Summary]) -> list[dict[str, Any]]:
    """One row for each cell; what no run has measured is missing."""
    return [_row(grid, summary, summaries[grid.reference]) for summary in summaries.values()]


def read_verdict(grid: Grid, summaries: Mapping[str, Summary]) -> list[str]:
    """Which cells differ from the reference in MAP@R, in sentences; in tuning, the best ones."""
    if grid.split == "val":
        return leaders(summaries, "map@r", "MAP@R")
    return verdict(summaries, grid.reference, "map@r", "MAP@R")


def _row(grid: Grid, summary: Summary, reference: Summary) -> dict[str, Any]:
    records, seeds = list(summary.records.values()), len(grid.seeds)
    n = str(seeds) if len(records) == seeds else f"{len(records)} of {seeds}"
    row: dict[str, Any] = {"cell": summary.cell.name, "n": n}
    for name in COMPARED:
        values = summary.figures(name)
        if values:
            row[name] = spread(list(values.values()))
            if summary is not reference:
                row[f"Δ {name}"] = _difference(values, reference.figures(name))
    if records:
        row["seconds"] = mean(record.results["seconds"] for record in records)
        row["epochs"] = span([record.results["epochs"] for record in records])
    if summary.parameters is not None:
        row["embedder"] = f"{summary.parameters.embedder:,}"
        row["generator"] = f"{summary.parameters.generator:,}"
    return row


def _difference(values: Mapping[int, float], reference: Mapping[int, float]) -> str | None:
    """In words, with the number of pairs where it is not that of the cell's runs."""
    difference = paired_difference(values, reference)
    if difference is None:
        return None
    text = f"{difference.mean:+.2f}"
    if difference.interval is not None:
        low, high = difference.interval
        text += f" [{low:+.2f}, {high:+.2f}]"
    return text if difference.pairs == len(values) else f"{text}, n = {difference.pairs}"


def _describe(grid: Grid, summaries: Mapping[str, Summary]) -> Page:
    """What stands in the report, beside the pictures."""
    runs = len(grid.cells) * len(grid.seeds)
    finished = sum(len(summary.records) for summary in summaries.values())
    data = sorted({cell.config.data.name for cell in grid.cells.values()})
    return Page(
        title=grid.title,
        lead=f"{len(grid.cells)} cells × {_seeds(grid)} on {', '.join(data)}; "
        f"{finished} of {runs} runs have finished.",
        heading=HEADINGS[grid.split],
        columns=table_columns(),
        rows=table_rows(grid, summaries),
        failures=[failure for summary in summaries.values() for failure in _failures(summary)],
        verdict=read_verdict(grid, summaries),
        picture=PICTURE,
        notes=_notes(grid, summaries),
        reference=grid.reference,
        cells={name: grid.changes(cell) for name, cell in grid.cells.items()},
        command=command(grid),
    )


def _failures(summary: Summary) -> list[tuple[str, str]]:
    """Which runs of a cell failed and why, those with one reason together."""
    seeds: dict[str, list[str]] = {}
    for seed, sentence in summary.failures.items():
        seeds.setdefault(sentence, []).append(str(seed))
    return [(f"{summary.cell.name}, seed {', '.join(s)}", text) for text, s in seeds.items()]


def _seeds(grid: Grid) -> str:
    first, last = grid.seeds[0], grid.seeds[-1]
    return f"seed {first}" if first == last else f"{len(grid.seeds)} seeds ({first} to {last})"


def _notes(grid: Grid, summaries: Mapping[str, Summary]) -> list[str]:
    records = [record for summary in summaries.values() for record in summary.records.values()]
    comparisons = len(COMPARED) * (len(grid.cells) - 1)
    notes = [
        f"Mean ± sample standard deviation over the seeds. Δ: mean difference to "
        f"'{grid.reference}' with the same seed, percentage points, and its 95 % confidence "
        f"interval by Student's t over the n pairs.",
        f"{comparisons} comparisons, uncorrected: were no cell different from the reference, about "
        f"{0.05 * comparisons:.1f} of the intervals would still leave zero out.",
        *(
            f"'{cell.name}' is '{cell.needs[0]}' trained for as long as '{cell.needs[1]}' took "
            "with the same seed, by the median epoch of each."
            for cell in grid.cells.values()
            if cell.needs
        ),
        f"{selection_note(records)} They stand in the CSV; the table has the last epochs.",
        *([TUNING] if grid.split == "val" else []),
        COSTS,
        f"Written with torch {torch.__version__.partition('+')[0]}.",
    ]
    return notes if records else notes[:2]


def _every_run(summaries: Mapping[str, Summary]) -> list[dict[str, Any]]:
    return [
        {
            "cell": name,
            "seed": seed,
            "epoch": epoch,
            **{
                figure: f"{value:.6f}"
                for figure, value in figures_after(record, epoch, summary.split).items()
            },
            "seconds": f"{record.results['seconds']:.2f}",
            "epochs": record.results["epochs"],
            "embedder_parameters": summary.parameters.embedder,
            "generator_parameters": summary.parameters.generator,
        }
        for name, summary in summaries.items()
        if summary.parameters is not None
        for seed, record in summary.records.items()
        for epoch in ("last", "best")
    ]
