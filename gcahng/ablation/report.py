"""The report of a grid, finished or not: Markdown, HTML, every run as CSV, a bar chart."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from gcahng.ablation.bars import draw_bars, save_picture
from gcahng.ablation.cell_run import CellRun, grid_runs
from gcahng.ablation.curves import draw_curves
from gcahng.ablation.equal_time import equal_time_notes
from gcahng.ablation.grid import Grid
from gcahng.ablation.page import HEADINGS, Details, Page, html_page, markdown_page
from gcahng.ablation.start import Figures, below_features, starts
from gcahng.ablation.summary import COMPARED, Summary, paired_difference, span, spread, summarize
from gcahng.ablation.verdict import leaders, verdict
from gcahng.files import atomic_write, write_text
from gcahng.reports.page import BatchPictures
from gcahng.reports.result_table import figure_columns
from gcahng.reports.run_report import gallery_of, pictures_of
from gcahng.reports.tables import Column
from gcahng.runs.csv_rows import csv_text
from gcahng.runs.embedding import embed_split
from gcahng.runs.loading import LoadedRun, load_run, user_classes
from gcahng.runs.record import RunRecord, figures_after, measured_work, selection_note

PICTURE = (
    "Each bar runs from the mean of the reference (the vertical line; its name is in bold) to the "
    "mean of the cell, so its length is Δ; whiskers are the confidence interval of Δ. Dots are "
    "single runs; dots of the same seed are at the same height in every row. The axes do not start "
    "at zero. The numbers on the right are means."
)
PICTURE_OF_ONE_SEED = (
    "Each bar runs from the reference (the vertical line; its name is in bold) to the cell, so its "
    "length is Δ. The axes do not start at zero."
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
    "Seconds: mean wall-clock training time without warm start and evaluation; other runs may have "
    "shared the machine. Embedder, generator: numbers of trained parameters, without those of the "
    "metric loss, such as proxies."
)
WORK = "Work: mean CPU seconds of the training process, or wall-clock seconds on a GPU."


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
    folder, name = Path(out or grid.folder), grid.name
    summaries = summarize(grid)
    page = describe_grid(grid, summaries)
    measured = [m for m in ("map@r", "recall@1") if any(s.figures(m) for s in summaries.values())]
    if measured:
        write_text(folder / f"{name}.csv", csv_text(_every_run(summaries)))
        picture = draw_bars(summaries, grid.reference, measured, grid.title)
        for kind in ("png", "svg"):
            with atomic_write(folder / f"{name}.{kind}") as temporary:
                save_picture(picture, temporary, kind)
    panels = [draw_bars(summaries, grid.reference, [metric]) for metric in measured]
    more = _details(grid, summaries) if details else Details()
    write_text(folder / f"{name}.html", html_page(page, panels, more))
    target = folder / f"{name}.md"
    write_text(target, markdown_page(page, f"{name}.png" if measured else None))
    return target


def _details(grid: Grid, summaries: Mapping[str, Summary]) -> Details:
    """Curves of the cells, and pictures of the first finished run of the cell to show."""
    curves = draw_curves(summaries, grid.reference)
    for run in grid_runs(grid):
        if run.cell.name == grid.show and run.finished:
            try:
                evaluated = embed_split(_opened(run), grid.split)
            except (OSError, ValueError) as error:
                return Details(curves, BatchPictures(f"No pictures of {run.name}: {error}", []))
            pictures = pictures_of(evaluated, run.folder, grid.split)
            return Details(curves, pictures, gallery_of(evaluated))
    return Details(curves)


def _opened(run: CellRun) -> LoadedRun:
    """Open a run, whose checkpoint may name classes to import only if the grid names some."""
    return load_run(run.folder.path, trust=bool(user_classes(run.cell.config)))


def command(grid: Grid, *options: str) -> str:
    """The command that trains the grid, or continues it."""
    words = ["ablate", grid.source, "--seeds", str(len(grid.seeds)), *options]
    return f"python -m gcahng {shlex.join(words)}"


def table_columns(grid: Grid, summaries: Mapping[str, Summary]) -> list[Column]:
    """The columns of the table, in Markdown, HTML and on the terminal."""
    interval = " [95 % CI]" if len(grid.seeds) > 1 else ""
    figures = figure_columns(COMPARED)
    work = [Column("work", "work", "seconds")] if _work_of(_records(summaries)) else []
    gain = (
        [Column("gain", f"over features{interval}", "number")] if _starts(grid, summaries) else []
    )
    return [
        Column("cell", "cell"),
        Column("n", "n", "integer"),
        *figures,
        *(Column(f"Δ {c.key}", f"Δ {c.title}{interval}", "number") for c in figures),
        *gain,
        Column("seconds", "seconds", "seconds"),
        *work,
        Column("epochs", "epochs", "integer"),
        Column("embedder", "embedder", "integer"),
        Column("generator", "generator", "integer"),
    ]


def table_rows(grid: Grid, summaries: Mapping[str, Summary]) -> list[dict[str, Any]]:
    """The start, then one row for each cell; a figure that no run has is missing."""
    reference = summaries[grid.reference]
    features = reference.figures(GAIN, "features")
    rows: list[dict[str, Any]] = [
        {
            "cell": name,
            "n": str(len(figures[GAIN])),
            **_compared(figures, reference),
            "gain": _difference(figures[GAIN], features) if figures[GAIN] != features else None,
        }
        for name, figures in _starts(grid, summaries).items()
    ]
    return [*rows, *(_row(grid, summary, reference) for summary in summaries.values())]


def _starts(grid: Grid, summaries: Mapping[str, Summary]) -> dict[str, Figures]:
    runs = {name: summary.records for name, summary in summaries.items()}
    return starts(runs, grid.reference, COMPARED, grid.split)


def read_verdict(grid: Grid, summaries: Mapping[str, Summary]) -> list[str]:
    """Sentences on which cells differ from the reference in MAP@R; in tuning, on the best cells."""
    if grid.split == "val":
        return leaders(summaries, "map@r", "MAP@R")
    return verdict(summaries, grid.reference, "map@r", "MAP@R")


def _row(grid: Grid, summary: Summary, reference: Summary) -> dict[str, Any]:
    records, seeds = list(summary.records.values()), len(grid.seeds)
    work = _work_of(records)
    n = str(seeds) if len(records) == seeds else f"{len(records)} of {seeds}"
    row: dict[str, Any] = {"cell": summary.cell.name, "n": n}
    figures = {name: summary.figures(name) for name in COMPARED}
    row |= _compared(figures, None if summary is reference else reference)
    row["gain"] = _difference(figures[GAIN], summary.figures(GAIN, "features"))
    if records:
        row["seconds"] = mean(record.results["seconds"] for record in records)
        row["work"] = mean(work) if work else None
        row["epochs"] = span([record.results["epochs"] for record in records])
    if summary.parameters is not None:
        row["embedder"] = f"{summary.parameters.embedder:,}"
        row["generator"] = f"{summary.parameters.generator:,}"
    return row


def read_warning(summaries: Mapping[str, Summary]) -> list[str]:
    """A sentence on which cells end below the features that they start from, if any do."""
    return below_features(summaries, GAIN, "MAP@R")


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


def describe_grid(grid: Grid, summaries: Mapping[str, Summary]) -> Page:
    """Everything in the report that is text."""
    runs = len(grid.cells) * len(grid.seeds)
    finished = sum(len(summary.records) for summary in summaries.values())
    below = "".join(f"{sentence} " for sentence in read_warning(summaries))
    data = sorted({cell.config.data.name for cell in grid.cells.values()})
    return Page(
        title=grid.title,
        lead=f"{below}{len(grid.cells)} cells × {_seeds(grid)} on {', '.join(data)}; "
        f"{finished} of {runs} runs have finished.",
        heading=HEADINGS[grid.split],
        columns=table_columns(grid, summaries),
        rows=table_rows(grid, summaries),
        failures=[failure for summary in summaries.values() for failure in _failures(summary)],
        verdict=read_verdict(grid, summaries),
        picture=PICTURE if len(grid.seeds) > 1 else PICTURE_OF_ONE_SEED,
        notes=_notes(grid, summaries),
        reference=grid.reference,
        cells={name: grid.changes(cell) for name, cell in grid.cells.items()},
        command=command(grid),
    )


def _failures(summary: Summary) -> list[tuple[str, str]]:
    """Which runs of a cell failed and why; runs with the same reason are listed together."""
    seeds: dict[str, list[str]] = {}
    for seed, sentence in summary.failures.items():
        seeds.setdefault(sentence, []).append(str(seed))
    return [(f"{summary.cell.name}, seed {', '.join(s)}", text) for text, s in seeds.items()]


def _seeds(grid: Grid) -> str:
    first, last = grid.seeds[0], grid.seeds[-1]
    return f"seed {first}" if first == last else f"{len(grid.seeds)} seeds ({first} to {last})"


def _notes(grid: Grid, summaries: Mapping[str, Summary]) -> list[str]:
    records = _records(summaries)
    notes = _statistics(grid)
    if _starts(grid, summaries):
        notes.append(STARTS)
    if grid.note:
        notes.append(grid.note)
    if not records:
        return notes
    notes += [
        *equal_time_notes(grid, summaries),
        f"{selection_note(records)} Figures of the best epochs are in the CSV; the table has those "
        "of the last epochs.",
    ]
    if grid.split == "val":
        notes.append(TUNING)
    costs = f"{COSTS} {WORK}" if _work_of(records) else COSTS
    return [*notes, costs, f"Written with torch {torch.__version__.partition('+')[0]}."]


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


def _records(summaries: Mapping[str, Summary]) -> list[RunRecord]:
    return [record for summary in summaries.values() for record in summary.records.values()]


def _work_of(records: Sequence[RunRecord]) -> list[float]:
    """The work of every run; none at all where a run of an earlier version did not measure it."""
    work = [measured_work(record.results) for record in records]
    return [] if None in work else [seconds for seconds in work if seconds is not None]


def _every_run(summaries: Mapping[str, Summary]) -> list[dict[str, Any]]:
    return [
        {
            "cell": name,
            "seed": seed,
            "epoch": epoch,
            **{figure: f"{value:.6f}" for figure, value in figures.items()},
            "seconds": f"{record.results['seconds']:.2f}",
            **_work(record),
            "epochs": record.results["epochs"],
            "embedder_parameters": summary.parameters.embedder,
            "generator_parameters": summary.parameters.generator,
        }
        for name, summary in summaries.items()
        if summary.parameters is not None
        for seed, record in summary.records.items()
        for epoch in ("last", "best", "features", "head")
        # Runs that did not measure their start have no rows of it.
        if (figures := figures_after(record, epoch, summary.split)) or epoch in ("last", "best")
    ]


def _work(record: RunRecord) -> dict[str, str]:
    work = measured_work(record.results)
    return {} if work is None else {"work_seconds": f"{work:.2f}"}
