"""Recipes over several seeds: means, and paired differences to the first recipe."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from gcahng.files import write_text
from gcahng.reports.result_table import figure_columns
from gcahng.reports.tables import Column, markdown_table
from gcahng.runs.folder import environment
from gcahng.runs.record import RunRecord, figures_after

Seeds = Sequence[Mapping[str, RunRecord]]
COMPARED = ("recall@1", "map@r")


def write_comparison(
    seeds: Seeds, path: Path, notes: Sequence[str], subject: str | None = None
) -> Path:
    """Write mean ± standard deviation over seeds and paired differences.

    Args:
        seeds: For each seed, records by recipe; all are held against the first.
        path: Without suffix; `.md` gets the tables, `.csv` every single run.
        notes: Sentences to stand below the tables.
        subject: The recipe in question, which all others are held against too; by default the
            last.

    Returns:
        The Markdown file.
    """
    write_text(path.with_suffix(".csv"), _every_run(seeds))
    baseline, subject = next(iter(seeds[0])), subject or list(seeds[0])[-1]
    system = environment()
    parts = [f"# Quickstart recipes on glyphs, {len(seeds)} seeds\n"]
    for epoch in ("last", "best"):
        parts += [f"## After the {epoch} epoch, test split, %\n", _means(seeds, epoch)]
    parts += [
        *(
            part
            for reference in (baseline, subject)
            for part in (
                f"## Paired differences to {seeds[0][reference].name}, last epoch, percentage "
                "points\n",
                _differences(seeds, reference),
            )
        ),
        "Mean ± sample standard deviation over seeds; t is the mean difference over its standard "
        "error; the single differences stand in the order of the seeds.\n",
        *(f"{note}\n" for note in notes),
        f"Written by `make benchmark-quickstart` with torch {system['libraries']['torch']}, "
        "1 thread; seconds are training time without warm start and evaluation.\n",
    ]
    target = path.with_suffix(".md")
    write_text(target, "\n".join(parts))
    return target


def _means(seeds: Seeds, epoch: str) -> str:
    names = list(figures_after(next(iter(seeds[0].values())), epoch))
    columns = [Column("recipe", "recipe")]
    columns += figure_columns(names)
    columns += [Column("seconds", "seconds", "seconds"), Column("epochs", "epochs")]
    rows: list[dict[str, Any]] = []
    for recipe, record in seeds[0].items():
        runs = [seed[recipe].results for seed in seeds]
        row: dict[str, Any] = {"recipe": record.name}
        for name in names:
            row[name] = spread([100 * run[f"{epoch}/{name}"] for run in runs])
        row["seconds"] = mean(run["seconds"] for run in runs)
        row["epochs"] = span([run["epochs"] for run in runs])
        rows.append(row)
    return markdown_table(rows, columns)


def _differences(seeds: Seeds, reference: str) -> str:
    """Every other recipe less the reference, seed by seed, after the last epoch."""
    columns = [Column("recipe", "recipe")]
    for name in COMPARED:
        columns += [
            Column(name, f"Δ {name}"),
            Column(f"{name} t", "t"),
            Column(f"{name} runs", "by seed"),
        ]
    rows = []
    for recipe in (name for name in seeds[0] if name != reference):
        row: dict[str, Any] = {"recipe": seeds[0][recipe].name}
        for name in COMPARED:
            key = f"last/{name}"
            gaps = [100 * (run[recipe].results[key] - run[reference].results[key]) for run in seeds]
            row[name] = spread(gaps)
            row[f"{name} t"] = _t_value(gaps)
            row[f"{name} runs"] = ", ".join(f"{gap:+.2f}" for gap in gaps)
        rows.append(row)
    return markdown_table(rows, columns)


def spread(values: Sequence[float]) -> str:
    """Mean ± sample standard deviation; the mean alone where there is one value."""
    if len(values) < 2:
        return f"{values[0]:.2f}"
    return f"{mean(values):.2f} ± {stdev(values):.2f}"


def span(values: Sequence[float]) -> str:
    """The smallest and the largest value; one where they are the same."""
    low, high = min(values), max(values)
    return f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"


def _t_value(gaps: Sequence[float]) -> str:
    if len(gaps) < 2 or stdev(gaps) == 0:
        return "–"
    return f"{mean(gaps) / (stdev(gaps) / len(gaps) ** 0.5):.1f}"


def _every_run(seeds: Seeds) -> str:
    rows = [
        {
            "recipe": recipe,
            "seed": seed,
            "epoch": epoch,
            "seconds": f"{record.results['seconds']:.2f}",
            "epochs": record.results["epochs"],
            **{name: f"{value:.6f}" for name, value in figures_after(record, epoch).items()},
        }
        for seed, by_recipe in enumerate(seeds)
        for recipe, record in by_recipe.items()
        for epoch in ("last", "best")
    ]
    return csv_text(rows)


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows as CSV; a column that a row lacks stays empty."""
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
