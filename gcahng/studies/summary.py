"""Figures of finished runs over the seeds, paired differences, and what they are evidence of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import mean, stdev

from scipy.special import stdtr, stdtrit

from gcahng.runs.record import RunRecord, Split, figures_after
from gcahng.studies.grid import Grid
from gcahng.studies.run import State, grid_runs

#: Figures that cells are compared by, and the one that verdicts are about.
COMPARED, DECISIVE = ("recall@1", "map@r"), "map@r"
# Percentage points: differences that vary by less are equal up to rounding.
ROUNDING = 1e-9
LEVEL = 0.05

#: What tables call what is measured before training.
STARTS = (
    "Features before training: those of the backbone; head before training: the untrained last "
    "layer."
)

#: Metrics in percent, by seed.
Figures = dict[str, dict[int, float]]


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences, its 95 % interval by Student's t, and a paired t-test's p.

    The last two are None for a single pair, and where all differences are equal: retrieval figures
    change in steps, so equal differences do not mean that there is no uncertainty.
    """

    mean: float
    interval: tuple[float, float] | None
    pairs: int
    p: float | None = None

    def __str__(self) -> str:
        text = f"{self.mean:+.2f}"
        if self.interval is not None:
            low, high = self.interval
            text += f" [{low:+.2f}, {high:+.2f}]"
        return text


@dataclass(frozen=True)
class Summary:
    """One cell over its seeds: records of finished runs, and why others failed, by seed."""

    seeds: range
    split: Split
    records: Mapping[int, RunRecord]
    failures: Mapping[int, str]

    def figures(self, name: str, epoch: str = "last") -> dict[int, float]:
        """One figure after the last epoch, in percent, by seed; runs that lack it are left out."""
        return percentages(self.records, name, epoch, self.split)


def summarize(grid: Grid) -> dict[str, Summary]:
    """Read the finished runs of every cell; summaries by the cell's name."""
    records: dict[str, dict[int, RunRecord]] = {name: {} for name in grid.cells}
    failures: dict[str, dict[int, str]] = {name: {} for name in grid.cells}
    for run in grid_runs(grid):
        state, problem = run.status()
        if state is State.FINISHED:
            records[run.cell.name][run.seed] = run.record()
        elif problem:
            failures[run.cell.name][run.seed] = problem
    return {
        name: Summary(grid.seeds, grid.file.split, records[name], failures[name])
        for name in grid.cells
    }


def percentages(
    records: Mapping[int, RunRecord], name: str, epoch: str, split: Split
) -> dict[int, float]:
    """One figure of some runs in percent, by seed; runs that lack it are left out."""
    measured = {s: figures_after(record, epoch, split).get(name) for s, record in records.items()}
    return {
        s: 100 * value for s, value in measured.items() if value is not None and isfinite(value)
    }


def starts(
    records: Mapping[int, RunRecord], metrics: Sequence[str], split: Split
) -> dict[str, Figures]:
    """Figures of the network before training, where measured: what a run should improve on."""
    found = {
        f"{source} before training": {m: percentages(records, m, source, split) for m in metrics}
        for source in ("features", "head")
    }
    return {name: figures for name, figures in found.items() if any(figures.values())}


def paired_difference(
    values: Mapping[int, float], reference: Mapping[int, float]
) -> Difference | None:
    """Compare two cells over the seeds that both have; None where they have none in common."""
    seeds = [seed for seed in values if seed in reference]
    if not seeds:
        return None
    gaps = [values[seed] - reference[seed] for seed in seeds]
    if len(gaps) == 1 or not stdev(gaps) > ROUNDING:
        return Difference(mean(gaps), None, len(gaps))
    # Student's t of `scipy.stats.ttest_rel`, whose module takes half a second to import.
    middle, error, freedom = mean(gaps), stdev(gaps) / sqrt(len(gaps)), len(gaps) - 1
    half = error * float(stdtrit(freedom, 1 - LEVEL / 2))
    p = 2 * float(stdtr(freedom, -abs(middle / error)))
    return Difference(middle, (middle - half, middle + half), len(gaps), p)


def below_features(summaries: Mapping[str, Summary]) -> list[str]:
    """Name the cells whose mean MAP@R is below their backbone's before training, in a sentence."""
    found = {
        name: paired_difference(s.figures(DECISIVE), s.figures(DECISIVE, "features"))
        for name, s in summaries.items()
    }
    below = {name: gap for name, gap in found.items() if gap and round(gap.mean, 2) < 0}
    return [f"MAP@R below the features before training: {_list(below)}."] if below else []


def verdict(summaries: Mapping[str, Summary], reference: str) -> list[str]:
    """Sort cells by the paired t-test of their MAP@R against the reference's, into sentences.

    The groups: significant after Holm's correction for the number of cells (if no cell differed,
    the chance of any cell in this group would be at most 5 %), significant without correction, and
    not significant. Cells without two pairs are in none.

    Source: Holm (Scandinavian Journal of Statistics, 1979).
    """
    line = summaries[reference].figures(DECISIVE)
    found = {
        name: paired_difference(summary.figures(DECISIVE), line)
        for name, summary in summaries.items()
        if name != reference
    }
    p = {name: d.p for name, d in found.items() if d is not None and d.p is not None}
    corrected = holm(p)
    alone = {name for name in p if p[name] <= LEVEL} - corrected
    groups = {
        f"different from '{reference}', also after Holm's correction for {len(p)} cells": corrected,
        f"different from '{reference}' by an uncorrected t-test only": alone,
        f"not significantly different from '{reference}'": p.keys() - corrected - alone,
    }
    lists = {how: {n: d for n, d in found.items() if n in names} for how, names in groups.items()}
    return [f"MAP@R {how}: {_list(cells)}." for how, cells in lists.items() if cells]


def holm(p: Mapping[str, float]) -> set[str]:
    """Names whose null hypothesis Holm's step-down procedure rejects, at 5 % for all together."""
    rejected: set[str] = set()
    for name in sorted(p, key=lambda name: p[name]):
        if p[name] > LEVEL / (len(p) - len(rejected)):
            break
        rejected.add(name)
    return rejected


def spread(values: Iterable[float]) -> str:
    """Mean ± sample standard deviation; the mean alone for a single value."""
    values = list(values)
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def _list(differences: Mapping[str, Difference | None]) -> str:
    """Names with their differences, the largest first."""
    means = {name: d.mean for name, d in differences.items() if d is not None}
    names = sorted(means, key=lambda name: -means[name])
    return ", ".join(f"{name} ({means[name]:+.2f})" for name in names)
