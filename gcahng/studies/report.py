"""The report of a grid, finished or not: Markdown, HTML, every run as CSV, a bar chart."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from gcahng.files import atomic_write, csv_text, write_text
from gcahng.reports.page import BatchPictures
from gcahng.reports.result_table import figure_columns
from gcahng.reports.run_report import gallery_of, pictures_of
from gcahng.reports.tables import Column
from gcahng.runs.embedding import embed_split
from gcahng.runs.loading import load_run, user_classes
from gcahng.runs.record import RunRecord, figures_after, selection_note
from gcahng.studies.grid import Grid
from gcahng.studies.page import Details, Item, Page, Part
from gcahng.studies.plots import draw_bars, draw_curves, image_of, save_picture
from gcahng.studies.run import grid_runs
from gcahng.studies.summary import (
    COMPARED,
    Figures,
    Summary,
    below_features,
    paired_difference,
    spread,
    starts,
    summarize,
)
from gcahng.studies.verdict import leaders, verdict

HEADINGS = {
    "test": "After the last epoch, class-disjoint test split, %",
    "val": "After the last epoch, held-out training classes, %",
}
PICTURE = (
    "Each bar runs from the mean of the reference (the vertical line; its name is in bold) to the "
    "mean of the cell, so its length is Δ; whiskers are the confidence interval of Δ. Dots are "
    "single runs; dots of the same seed are at the same height in every row. The axes do not start "
    "at zero. The numbers on the right are means."
)
PICTURE_OF_ONE_SEED = (
    "Each bar runs from the figure of the reference (the vertical line; its name is in bold) to "
    "that of the cell, so its length is Δ. The axes do not start at zero."
)
# The figure that is compared with the features before training.
GAIN = "map@r"
STARTS = (
    "Over features: MAP@R minus that of the backbone's features before training, in the same run. "
    "Head: the last layer before training."
)
TUNING = (
    "These classes are for choosing settings. The best of many cells is ahead partly by chance, so "
    "measure it once more, on the test split with other seeds."
)
COSTS = (
    "Seconds: mean training time without warm start and evaluation; CPU seconds of the training "
    "process on a CPU, wall-clock seconds on a GPU. Embedder, generator: numbers of trained "
    "parameters, without those of the metric loss, such as proxies."
)


def report_grid(grid: Grid, out: str | Path | None = None, details: bool = True) -> Path:
    """Write a report of the runs on disk, finished or not.

    Args:
        grid: The grid.
        out: Folder for `NAME.md`, `.html`, `.csv`, `.png` and `.svg`; default that of the runs.
        details: Put curves, and the pictures of the cell that the grid names in `show`, into the
            HTML page. They take some seconds. Default true.

    Returns:
        The Markdown file.
    """
    target, summaries = Path(out or grid.folder) / f"{grid.name}.md", summarize(grid)
    bars = None
    measured = [m for m in ("map@r", "recall@1") if any(s.figures(m) for s in summaries.values())]
    if measured:
        write_text(target.with_suffix(".csv"), csv_text(_every_run(summaries)))
        picture = draw_bars(summaries, grid.reference, measured, grid.title)
        for kind in ("png", "svg"):
            with atomic_write(target.with_suffix(f".{kind}")) as temporary:
                save_picture(picture, temporary, kind)
        panels = [draw_bars(summaries, grid.reference, [metric]) for metric in measured]
        images = [image_of(panel) for panel in panels]
        note = PICTURE if len(grid.seeds) > 1 else PICTURE_OF_ONE_SEED
        bars = Part(picture=f"{grid.name}.png", images=images, notes=[note])
    page = describe_grid(grid, summaries, bars)
    page.write(target, _details(grid, summaries) if details else Details())
    return target


def _details(grid: Grid, summaries: Mapping[str, Summary]) -> Details:
    """Curves of the cells, and pictures of the first finished run of the cell to show."""
    curves = draw_curves(summaries, grid.reference)
    for run in grid_runs(grid):
        if run.cell.name == grid.file.show and run.finished:
            try:
                # A checkpoint may name classes to import only if the grid names some.
                loaded = load_run(run.folder.path, trust=bool(user_classes(run.cell.config)))
                evaluated = embed_split(loaded, grid.split)
            except (OSError, ValueError) as error:
                return Details(curves, BatchPictures(f"No pictures of {run.name}: {error}", []))
            pictures = pictures_of(evaluated, run.folder, grid.split)
            return Details(curves, pictures, gallery_of(evaluated))
    return Details(curves)


def describe_grid(grid: Grid, summaries: Mapping[str, Summary], bars: Part | None = None) -> Page:
    """Put the report together."""
    finished = sum(len(summary.records) for summary in summaries.values())
    below = "".join(f"{line} " for line in below_features(summaries, GAIN, "MAP@R"))
    data = sorted({cell.config.data.name for cell in grid.cells.values()})
    first, last = grid.seeds[0], grid.seeds[-1]
    seeds = f"seed {first}" if first == last else f"{len(grid.seeds)} seeds ({first} to {last})"
    lead = (
        f"{below}{len(grid.cells)} cells × {seeds} on {', '.join(data)}; {finished} of "
        f"{len(grid.cells) * len(grid.seeds)} runs have finished."
    )
    words = ["ablate", grid.source, "--seeds", str(len(grid.seeds))]
    failed = [failure for summary in summaries.values() for failure in _failures(summary)]
    verdicts = [Item(text=line) for line in read_verdict(grid, summaries)]
    parts = [
        Part(HEADINGS[grid.split], table_columns(grid, summaries), table_rows(grid, summaries)),
        *([Part("Failed", items=failed)] if failed else []),
        *([] if bars is None else [bars]),
        *([Part("What it shows", items=verdicts)] if verdicts else []),
        Part(notes=_notes(grid, summaries)),
        Part("What each cell changes", items=_changes(grid)),
        Part("To repeat it", commands=[f"python -m gcahng {shlex.join(words)}"]),
    ]
    return Page(grid.title, lead, parts)


def read_verdict(grid: Grid, summaries: Mapping[str, Summary]) -> list[str]:
    """Sentences on which cells differ from the reference in MAP@R; in tuning, on the best cells."""
    if grid.split == "val":
        return leaders(summaries, "map@r", "MAP@R")
    return verdict(summaries, grid.reference, "map@r", "MAP@R")


def table_columns(grid: Grid, summaries: Mapping[str, Summary]) -> list[Column]:
    """The columns of the table, in Markdown, HTML and on the terminal."""
    interval = " [95 % CI]" if len(grid.seeds) > 1 else ""
    figures = figure_columns(COMPARED)
    gain = [Column("gain", f"over features{interval}", "number")]
    return [
        Column("cell", "cell"),
        Column("n", "n", "integer"),
        *figures,
        *(Column(f"Δ {c.key}", f"Δ {c.title}{interval}", "number") for c in figures),
        *(gain if _starts(grid, summaries) else []),
        Column("seconds", "seconds", "seconds"),
        Column("epochs", "epochs", "integer"),
        Column("embedder", "embedder", "integer"),
        Column("generator", "generator", "integer"),
    ]


def table_rows(grid: Grid, summaries: Mapping[str, Summary]) -> list[dict[str, Any]]:
    """The start, then one row for each cell; a figure that no run has is missing."""
    reference = summaries[grid.reference]
    features = reference.figures(GAIN, "features")
    rows: list[dict[str, Any]] = []
    for name, figures in _starts(grid, summaries).items():
        gain = _difference(figures[GAIN], features) if figures[GAIN] != features else None
        n = str(len(figures[GAIN]))
        rows.append({"cell": name, "n": n, **_compared(figures, reference), "gain": gain})
    for name, summary in summaries.items():
        records, seeds = list(summary.records.values()), len(grid.seeds)
        figures = {metric: summary.figures(metric) for metric in COMPARED}
        row: dict[str, Any] = {
            "cell": name,
            "n": str(seeds) if len(records) == seeds else f"{len(records)} of {seeds}",
            **_compared(figures, None if summary is reference else reference),
            "gain": _difference(figures[GAIN], summary.figures(GAIN, "features")),
        }
        if records:
            epochs = [record.results["epochs"] for record in records]
            low, high = min(epochs), max(epochs)
            row["seconds"] = mean(record.results["seconds"] for record in records)
            row["epochs"] = f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"
            for part in ("embedder", "generator"):
                if (count := records[0].results.get(f"{part}_parameters")) is not None:
                    row[part] = f"{count:,}"
        rows.append(row)
    return rows


def _starts(grid: Grid, summaries: Mapping[str, Summary]) -> dict[str, Figures]:
    runs = {name: summary.records for name, summary in summaries.items()}
    return starts(runs, grid.reference, COMPARED, grid.split)


def _compared(figures: Figures, reference: Summary | None) -> dict[str, Any]:
    """The cells of figures, and of their differences to the reference if there is one."""
    row: dict[str, Any] = {}
    for name, values in figures.items():
        if values:
            row[name] = spread(list(values.values()))
            if reference is not None:
                row[f"Δ {name}"] = _difference(values, reference.figures(name))
    return row


def _difference(values: Mapping[int, float], reference: Mapping[int, float]) -> str | None:
    """Difference and interval as text; with the number of pairs where runs of the cell lack one."""
    difference = paired_difference(values, reference)
    if difference is None:
        return None
    text = f"{difference.mean:+.2f}"
    if difference.interval is not None:
        low, high = difference.interval
        text += f" [{low:+.2f}, {high:+.2f}]"
    return text if difference.pairs == len(values) else f"{text}, n = {difference.pairs}"


def _failures(summary: Summary) -> list[Item]:
    """Which runs of a cell failed and why; runs with the same reason are listed together."""
    seeds: dict[str, list[str]] = {}
    for seed, sentence in summary.failures.items():
        seeds.setdefault(sentence, []).append(str(seed))
    return [Item(f"{summary.cell.name}, seed {', '.join(s)}", text) for text, s in seeds.items()]


def _changes(grid: Grid) -> list[Item]:
    """What each cell changes in the reference."""
    items = []
    for name, cell in grid.cells.items():
        changes = grid.changes(cell)
        same = "the reference" if name == grid.reference else "nothing"
        items.append(Item(name, "" if changes else same, changes))
    return items


def _notes(grid: Grid, summaries: Mapping[str, Summary]) -> list[str]:
    """How to read the table."""
    records = [record for summary in summaries.values() for record in summary.records.values()]
    notes = _statistics(grid)
    notes += [STARTS] if _starts(grid, summaries) else []
    notes += [grid.file.note] if grid.file.note else []
    if not records:
        return notes
    notes += [
        f"'{cell.name}' is '{cell.equal_time.of}' trained for as long as "
        f"'{cell.equal_time.as_long_as}' took with the same seed, by the median epoch of each."
        for cell in grid.cells.values()
        if cell.equal_time is not None
    ]
    notes.append(
        f"{selection_note(records)} Figures of the best epochs are in the CSV; the table has those "
        "of the last epochs."
    )
    notes += [TUNING] if grid.split == "val" else []
    return [*notes, COSTS, f"Written with torch {torch.__version__.partition('+')[0]}."]


def _statistics(grid: Grid) -> list[str]:
    """What the figures of the table are; a single seed has neither spread nor intervals."""
    if len(grid.seeds) == 1:
        return [f"Δ: difference to '{grid.reference}' in percentage points. One seed a cell."]
    comparisons = len(COMPARED) * (len(grid.cells) - 1)
    return [
        f"Mean ± sample standard deviation over the seeds. Δ: mean difference to "
        f"'{grid.reference}' with the same seed, in percentage points, with its 95 % confidence "
        f"interval by Student's t over the n pairs.",
        f"The intervals are not corrected for multiple comparisons: if no cell differed, about "
        f"{0.05 * comparisons:.1f} of {comparisons} intervals would still exclude zero.",
    ]


def _every_run(summaries: Mapping[str, Summary]) -> list[dict[str, Any]]:
    """The rows of the CSV: every run after its last and its best epoch, and before training."""
    return [
        {
            "cell": name,
            "seed": seed,
            "epoch": epoch,
            **{figure: f"{value:.6f}" for figure, value in figures.items()},
            "seconds": f"{record.results['seconds']:.2f}",
            **_counts(record),
        }
        for name, summary in summaries.items()
        for seed, record in summary.records.items()
        for epoch in ("last", "best", "features", "head")
        # Runs that did not measure their start have no rows of it.
        if (figures := figures_after(record, epoch, summary.split)) or epoch in ("last", "best")
    ]


def _counts(record: RunRecord) -> dict[str, Any]:
    names = ("epochs", "embedder_parameters", "generator_parameters")
    return {name: record.results.get(name) for name in names}
