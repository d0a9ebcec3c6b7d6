"""The report of a grid, finished or not: Markdown, HTML, every run as CSV, a bar chart."""

from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from gcahng.files import csv_text, write_text
from gcahng.reports.markdown import bullets, commands, heading, write_report
from gcahng.reports.tables import Column, figure_columns, markdown_table
from gcahng.runs.record import figures_after, selection_note
from gcahng.studies.grid import Grid
from gcahng.studies.plots import as_png, draw_bars
from gcahng.studies.summary import (
    COMPARED,
    DECISIVE,
    STARTS,
    Figures,
    Summary,
    below_features,
    paired_difference,
    spread,
    starts,
    summarize,
    verdict,
)

HEADINGS = {
    "test": "After the last epoch, class-disjoint test split, %",
    "val": "After the last epoch, held-out training classes, %",
}
PICTURE = (
    "Each bar runs from the mean of the reference (the vertical line; its name is in bold) to that "
    "of the cell, so its length is Δ. The axes do not start at zero."
)
WHISKERS = (
    " Whiskers are the confidence interval of Δ. Dots are single runs; those of one seed are at "
    "the same height in every row."
)
GAIN = (
    f"{STARTS} Both are of the reference. Over features: MAP@R minus that of the features, in the "
    "same run."
)
TUNING = (
    "These classes are for choosing settings. The best of many cells is ahead partly by chance, so "
    "measure it once more, on the test split with other seeds."
)
COSTS = (
    "Seconds: mean training time without warm start and evaluation; CPU seconds on a CPU, "
    "wall-clock seconds on a GPU."
)


def report_grid(grid: Grid, out: str | Path | None = None) -> Path:
    """Write a report of the runs on disk, finished or not.

    Args:
        grid: The grid.
        out: Folder for `NAME.md`, `.html`, `.csv` and `.png`; default that of the runs.

    Returns:
        The Markdown file.
    """
    target, summaries = Path(out or grid.folder) / f"{grid.name}.md", summarize(grid)
    measured = [m for m in ("map@r", "recall@1") if any(s.figures(m) for s in summaries.values())]
    picture = None
    if measured:
        picture = as_png(draw_bars(summaries, grid.reference, measured, grid.title))
        write_text(target.with_suffix(".csv"), csv_text(_every_run(summaries)))
    write_report(target, grid.title, describe_grid(grid, summaries), picture)
    return target


def describe_grid(grid: Grid, summaries: Mapping[str, Summary]) -> list[str]:
    """The blocks of the report, in Markdown."""
    records = [record for summary in summaries.values() for record in summary.records.values()]
    data = sorted({cell.config.data.name for cell in grid.cells.values()})
    first, last = grid.seeds[0], grid.seeds[-1]
    seeds = f"seed {first}" if first == last else f"{len(grid.seeds)} seeds ({first} to {last})"
    lead = (
        f"{len(grid.cells)} cells × {seeds} on {', '.join(data)}; {len(records)} of "
        f"{len(grid.cells) * len(grid.seeds)} runs have finished.\n"
    )
    failed = [
        f"{name}, seed {seed}: {sentence}"
        for name, summary in summaries.items()
        for seed, sentence in summary.failures.items()
    ]
    table = markdown_table(table_rows(grid, summaries), table_columns(grid, summaries))
    read = PICTURE + (WHISKERS if len(grid.seeds) > 1 else "")
    picture = [f"![{grid.title}]({grid.name}.png)\n", f"{read}\n"] if records else []
    notes = [f"{note}\n" for note in _notes(grid, summaries)]
    changes = []
    for name, cell in grid.cells.items():
        same = "the reference" if name == grid.reference else "nothing"
        changes.append(f"{name}: {', '.join(f'`{c}`' for c in grid.changes(cell)) or same}")
    repeat = commands(["ablate", grid.source, "--seeds", str(len(grid.seeds))])
    return [
        " ".join([*below_features(summaries), lead]),
        *heading(HEADINGS[grid.file.split], table),
        *heading("Failed", bullets(failed)),
        *picture,
        *heading("What it shows", bullets(read_verdict(grid, summaries))),
        *notes,
        *heading("What each cell changes", bullets(changes)),
        *heading("To repeat it", repeat),
    ]


def read_verdict(grid: Grid, summaries: Mapping[str, Summary]) -> list[str]:
    """Sentences on which cells differ from the reference in MAP@R; none on classes to tune on."""
    return [] if grid.file.split == "val" else verdict(summaries, grid.reference)


def table_columns(grid: Grid, summaries: Mapping[str, Summary]) -> list[Column]:
    """The columns of the table, in Markdown and on the terminal."""
    interval = " [95 % CI]" if len(grid.seeds) > 1 else ""
    figures = figure_columns(COMPARED)
    gain = [Column("gain", f"over features{interval}", ".2f")]
    return [
        Column("cell", "cell"),
        Column("n", "n", ".0f"),
        *figures,
        *(Column(f"Δ {c.key}", f"Δ {c.title}{interval}", ".2f") for c in figures),
        *(gain if _starts(grid, summaries) else []),
        Column("seconds", "seconds", ".1f"),
        Column("epochs", "epochs", ".0f"),
    ]


def table_rows(grid: Grid, summaries: Mapping[str, Summary]) -> list[dict[str, Any]]:
    """The start, then one row for each cell; a figure that no run has is missing."""
    reference = summaries[grid.reference]
    features = reference.figures(DECISIVE, "features")
    rows: list[dict[str, Any]] = []
    for name, figures in _starts(grid, summaries).items():
        gain = _difference(figures[DECISIVE], features) if figures[DECISIVE] != features else None
        n = str(len(figures[DECISIVE]))
        rows.append({"cell": name, "n": n, **_compared(figures, reference), "gain": gain})
    for name, summary in summaries.items():
        records, seeds = list(summary.records.values()), len(grid.seeds)
        figures = {metric: summary.figures(metric) for metric in COMPARED}
        row: dict[str, Any] = {
            "cell": name,
            "n": str(seeds) if len(records) == seeds else f"{len(records)} of {seeds}",
            **_compared(figures, None if summary is reference else reference),
            "gain": _difference(figures[DECISIVE], summary.figures(DECISIVE, "features")),
        }
        if records:
            epochs = [record.results["epochs"] for record in records]
            low, high = min(epochs), max(epochs)
            row["seconds"] = mean(record.results["seconds"] for record in records)
            row["epochs"] = f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"
        rows.append(row)
    return rows


def _starts(grid: Grid, summaries: Mapping[str, Summary]) -> dict[str, Figures]:
    return starts(summaries[grid.reference].records, COMPARED, grid.file.split)


def _compared(figures: Figures, reference: Summary | None) -> dict[str, Any]:
    """The cells of figures, and of their differences to the reference if there is one."""
    row: dict[str, Any] = {}
    for name, values in figures.items():
        if values:
            row[name] = spread(values.values())
            if reference is not None:
                row[f"Δ {name}"] = _difference(values, reference.figures(name))
    return row


def _difference(values: Mapping[int, float], reference: Mapping[int, float]) -> str | None:
    """Difference and interval as text; with the number of pairs where runs of the cell lack one."""
    difference = paired_difference(values, reference)
    if difference is None or difference.pairs == len(values):
        return None if difference is None else str(difference)
    return f"{difference}, n = {difference.pairs}"


def _notes(grid: Grid, summaries: Mapping[str, Summary]) -> list[str]:
    """How to read the table."""
    records = [record for summary in summaries.values() for record in summary.records.values()]
    notes = [f"Δ: difference to '{grid.reference}' in percentage points. One seed a cell."]
    if len(grid.seeds) > 1:
        count = len(COMPARED) * (len(grid.cells) - 1)
        notes = [
            f"Mean ± sample standard deviation. Δ: mean difference to '{grid.reference}' with the "
            "same seed, in percentage points, with its 95 % confidence interval by Student's t, "
            f"not corrected for {count} comparisons: if no cell differed, about {0.05 * count:.1f} "
            "intervals would exclude zero.",
        ]
    notes += [GAIN] if _starts(grid, summaries) else []
    notes += [grid.file.note] if grid.file.note else []
    if not records:
        return notes
    notes += [
        f"'{cell.name}' is '{cell.equal_time.of}' trained for as long as "
        f"'{cell.equal_time.as_long_as}' took with the same seed, by the median epoch of each."
        for cell in grid.cells.values()
        if cell.equal_time is not None
    ]
    notes.append(f"{selection_note(records)} Figures of the best epochs are in the CSV.")
    notes += [TUNING] if grid.file.split == "val" else []
    return [*notes, COSTS]


def _every_run(summaries: Mapping[str, Summary]) -> list[dict[str, Any]]:
    """The rows of the CSV: every run after its last and its best epoch, and before training."""
    counts = ("epochs", "embedder_parameters", "generator_parameters")
    return [
        {
            "cell": name,
            "seed": seed,
            "epoch": epoch,
            **{figure: f"{value:.6f}" for figure, value in figures.items()},
            "seconds": f"{record.results['seconds']:.2f}",
            **{count: record.results.get(count) for count in counts},
        }
        for name, summary in summaries.items()
        for seed, record in summary.records.items()
        for epoch in ("last", "best", "features", "head")
        # Runs that did not measure their start have no rows of it.
        if (figures := figures_after(record, epoch, summary.split)) or epoch in ("last", "best")
    ]
