"""Figures of finished runs over the seeds, before and after training, and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import mean, stdev

from scipy import stats

from gcahng.runs.record import RunRecord, Split, figures_after
from gcahng.studies.grid import Cell, Grid
from gcahng.studies.run import State, grid_runs

#: Figures that cells are compared by.
COMPARED = ("recall@1", "map@r")
# Percentage points: differences that vary by less are equal up to rounding; starts whose figures
# are closer are one row.
ROUNDING, SAME_START = 1e-9, 0.01

#: Metrics in percent, by seed.
Figures = dict[str, dict[int, float]]


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences, with its uncertainty.

    Attributes:
        mean: Over the pairs, percentage points.
        interval: 95 % confidence interval by Student's t. None for a single pair, and where all
            differences are equal: retrieval figures change in steps, so equal differences do not
            mean that there is no uncertainty.
        pairs: Number of pairs.
        p: Two-sided p-value of the paired t-test; None as the interval.
    """

    mean: float
    interval: tuple[float, float] | None
    pairs: int
    p: float | None = None


@dataclass(frozen=True)
class Summary:
    """One cell over its seeds.

    Attributes:
        cell: The cell.
        seeds: All seeds of the grid.
        split: Split whose figures count.
        records: Of the finished runs, by seed.
        failures: Why other runs have no figures, by seed.
    """

    cell: Cell
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
        name: Summary(cell, grid.seeds, grid.split, records[name], failures[name])
        for name, cell in grid.cells.items()
    }


def percentages(
    records: Mapping[int, RunRecord], name: str, epoch: str, split: Split
) -> dict[int, float]:
    """One figure of some runs in percent, by seed; runs that lack it are left out.

    >>> percentages({3: RunRecord("a", [], {"last/map@r": 0.25}, "")}, "map@r", "last", "test")
    {3: 25.0}
    """
    measured = {s: figures_after(record, epoch, split).get(name) for s, record in records.items()}
    return {
        s: 100 * value for s, value in measured.items() if value is not None and isfinite(value)
    }


def paired_difference(
    values: Mapping[int, float], reference: Mapping[int, float]
) -> Difference | None:
    """Compare two cells over the seeds that both have, by a paired t-test.

    Returns:
        None where they have no seed in common.

    >>> paired_difference({0: 2.0, 1: 4.0, 2: 6.0}, {0: 1.0, 1: 2.0, 2: 3.0})
    Difference(mean=2.0, interval=(-0.48..., 4.48...), pairs=3, p=0.074...)
    """
    seeds = [seed for seed in values if seed in reference]
    if not seeds:
        return None
    gaps = [values[seed] - reference[seed] for seed in seeds]
    if len(gaps) == 1 or not stdev(gaps) > ROUNDING:
        return Difference(mean(gaps), None, len(gaps))
    test = stats.ttest_rel([values[seed] for seed in seeds], [reference[seed] for seed in seeds])
    interval = test.confidence_interval(0.95)
    return Difference(
        mean(gaps), (float(interval.low), float(interval.high)), len(gaps), float(test.pvalue)
    )


def starts(
    runs: Mapping[str, Mapping[int, RunRecord]],
    reference: str,
    metrics: Sequence[str],
    split: Split = "test",
) -> dict[str, Figures]:
    """Figures of the network before training, as rows: what a run should improve on.

    Returns:
        For the backbone's features and for the untrained last layer, each metric in percent by
        seed. The name of the row contains the reference if other cells start differently. One row
        if both are equal; none if they are not measured.

    >>> before = {"zero_shot/features/map@r": 0.5, "zero_shot/head/map@r": 0.25}
    >>> starts({"a": {0: RunRecord("a", [], before, "")}}, "a", ["map@r"])
    {'features before training': {'map@r': {0: 50.0}}, 'head before training': {'map@r': {0: 25.0}}}
    """

    def figures(records: Mapping[int, RunRecord], source: str) -> Figures:
        return {metric: percentages(records, metric, source, split) for metric in metrics}

    found: dict[str, Figures] = {}
    for source in ("features", "head"):
        own = figures(runs[reference], source)
        if any(own.values()) and not any(_same_start(own, other) for other in found.values()):
            alike = all(_same_start(own, figures(records, source)) for records in runs.values())
            found[f"{source} before training{'' if alike else f', {reference}'}"] = own
    return found


def _same_start(one: Figures, other: Figures) -> bool:
    """Whether figures agree where both are measured."""
    return all(
        abs(values[seed] - other[metric][seed]) < SAME_START
        for metric, values in one.items()
        for seed in values.keys() & other[metric].keys()
    )


def below_features(summaries: Mapping[str, Summary], metric: str, title: str) -> list[str]:
    """Name the cells whose mean is below their backbone's features before training.

    Returns:
        A list of one sentence; empty if there are no such cells, or the start is not measured.
    """
    below = []
    for name, summary in summaries.items():
        gap = paired_difference(summary.figures(metric), summary.figures(metric, "features"))
        if gap is not None and round(gap.mean, 2) < 0:
            below.append(f"{name} ({gap.mean:+.2f})")
    return [f"{title} below the features before training: {', '.join(below)}."] if below else []


def spread(values: Sequence[float]) -> str:
    """Mean ± sample standard deviation; the mean alone for a single value.

    >>> spread([50.0, 60.0])
    '55.00 ± 7.07'
    """
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")
