"""The quickstart recipes side by side: one table, one report, over one or more seeds."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from gcahng.commands.train import fit
from gcahng.comparison import write_comparison
from gcahng.config import load_config
from gcahng.reports.result_table import result_columns, result_rows
from gcahng.reports.run_report import report_runs
from gcahng.reports.tables import results_table
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import RunRecord, epochs_for, read_record, selection_note

RUNS = Path("runs/demo")


@dataclass(frozen=True)
class Recipe:
    """One row of the comparison.

    Attributes:
        name: Of its runs.
        title: In tables and legends.
        config: The experiment.
        as_long_as: Name of the recipe whose training time it gets, in whole epochs; None keeps
            its own number of epochs.
    """

    name: str
    title: str
    config: str
    as_long_as: str | None = None


RECIPES = (
    Recipe("npair", "N-pair", "quickstart/npair"),
    Recipe("npair_node_ce", "N-pair + node CE", "quickstart/npair_node_ce"),
    Recipe("gca_hng", "GCA-HNG, full recipe", "quickstart"),
    Recipe("npair_equal_time", "N-pair, equal time", "quickstart/npair", as_long_as="gca_hng"),
)


def run_demo(seeds: int, out: Path | None, console: Console) -> None:
    """Train every recipe with every seed, print a table and write the report.

    Args:
        seeds: Seeds 0 to seeds - 1.
        out: Folder for the comparison over seeds, `quickstart.md` and `quickstart.csv`, or None.
        console: Where to print.
    """
    by_seed = [_run_seed(seed, console) for seed in range(seeds)]
    first = by_seed[0]
    rows = [row for record in first.values() for row in result_rows(record)]
    columns = result_columns(first[RECIPES[0].name])
    title = "Test split of glyphs, %" + (", seed 0" if seeds > 1 else "")
    console.print(results_table(rows, columns, title))
    notes = [
        selection_note(list(first.values())),
        "What the parts of the recipe earn is read off the controls: 'N-pair + node CE' has no "
        "synthetic negatives, 'N-pair, equal time' has the full recipe's training time. A control "
        "with the same extra loss on unmoved negatives is not in this table, so it cannot show a "
        "gain of moving them.",
    ]
    for note in notes:
        console.print(note, soft_wrap=True, highlight=False)
    if out is not None:
        written = write_comparison(by_seed, out / "quickstart", notes, subject="gca_hng")
        console.print(f"comparison: {written}", soft_wrap=True, highlight=False)
    shown = RunFolder(RUNS / "gca_hng-seed0")
    report = RUNS / "report.html"
    report_runs(report, "gcahng demo: glyphs", list(first.values()), shown, notes)
    console.print(f"report: {report}", soft_wrap=True, highlight=False)


def _run_seed(seed: int, console: Console) -> dict[str, RunRecord]:
    """Train all recipes with one seed; results by the recipes' names, in their order."""
    done: dict[str, RunRecord] = {}
    for recipe in RECIPES:
        overrides = [f"seed={seed}", f"name={recipe.name}"]
        if recipe.as_long_as is not None:
            epochs = epochs_for(done[recipe.as_long_as], done["npair"])
            overrides.append(f"train.epochs={epochs}")
        folder = RunFolder(RUNS / f"{recipe.name}-seed{seed}")
        # The demo's own folder: what an earlier demo left there has served its purpose.
        shutil.rmtree(folder.path, ignore_errors=True)
        fit(load_config(recipe.config, overrides), folder, console)
        done[recipe.name] = read_record(folder, recipe.title)
    return done
