"""Figures of a grid's finished runs over the seeds, and paired differences between cells."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from statistics import mean, stdev

from scipy import stats

from gcahng.ablation.cell_run import State, grid_runs
from gcahng.ablation.grid import Cell, Grid
from gcahng.builders.networks import build_embedder, build_generator
from gcahng.config import parse_config
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import RunRecord, Split, figures_after

#: Figures that cells are compared by.
COMPARED = ("recall@1", "map@r")
# Differences that vary by less than this, in percentage points, are equal up to rounding.
SAME = 1e-9


@dataclass(frozen=True)
class Parameters:
    """Numbers of trained parameters, without those of the metric loss."""

    embedder: int
    generator: int


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
        parameters: None while no run has finished.
    """

    cell: Cell
    seeds: range
    split: Split
    records: Mapping[int, RunRecord]
    failures: Mapping[int, str]
    parameters: Parameters | None

    def figures(self, name: str, epoch: str = "last") -> dict[int, float]:
        """One figure after the last epoch, in percent, by seed; runs that lack it are left out.

        Args:
            name: Of the figure.
            epoch: As of `figures_after`; `features` or `head`: before training.
        """
        return percentages(self.records, name, epoch, self.split)


def summarize(grid: Grid) -> dict[str, Summary]:
    """Read the finished runs of every cell; summaries by the cell's name."""
    records: dict[str, dict[int, RunRecord]] = {name: {} for name in grid.cells}
    failures: dict[str, dict[int, str]] = {name: {} for name in grid.cells}
    parameters: dict[str, Parameters] = {}
    for run in grid_runs(grid):
        name = run.cell.name
        state, problem = run.status()
        if state is State.FINISHED:
            records[name][run.seed] = record = run.record()
            if name not in parameters:
                parameters[name] = _parameters(run.folder, record.config)
        elif problem:
            failures[name][run.seed] = problem
    return {
        name: Summary(
            cell, grid.seeds, grid.split, records[name], failures[name], parameters.get(name)
        )
        for name, cell in grid.cells.items()
    }


def percentages(
    records: Mapping[int, RunRecord], name: str, epoch: str, split: Split
) -> dict[int, float]:
    """One figure of some runs in percent, by seed; runs that lack it are left out.

    Args:
        records: By seed.
        name: Of the figure.
        epoch: As of `figures_after`.
        split: As of `figures_after`.

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

    Args:
        values: A figure of one cell in percent, by seed.
        reference: The same figure of the reference.

    Returns:
        None where they have no seed in common.

    >>> paired_difference({0: 2.0, 1: 4.0, 2: 6.0}, {0: 1.0, 1: 2.0, 2: 3.0})
    Difference(mean=2.0, interval=(-0.48..., 4.48...), pairs=3, p=0.074...)
    """
    seeds = [seed for seed in values if seed in reference]
    if not seeds:
        return None
    gaps = [values[seed] - reference[seed] for seed in seeds]
    if len(gaps) == 1 or not stdev(gaps) > SAME:
        return Difference(mean(gaps), None, len(gaps))
    test = stats.ttest_rel([values[seed] for seed in seeds], [reference[seed] for seed in seeds])
    interval = test.confidence_interval(0.95)
    return Difference(
        mean(gaps), (float(interval.low), float(interval.high)), len(gaps), float(test.pvalue)
    )


def spread(values: Sequence[float]) -> str:
    """Mean ± sample standard deviation; the mean alone for a single value.

    >>> spread([50.0, 60.0])
    '55.00 ± 7.07'
    """
    if len(values) < 2:
        return f"{values[0]:.2f}"
    return f"{mean(values):.2f} ± {stdev(values):.2f}"


def span(values: Sequence[float]) -> str:
    """The smallest and the largest value, or one value where they are equal.

    >>> span([28, 23, 25]), span([10, 10])
    ('23–28', '10')
    """
    low, high = min(values), max(values)
    return f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"


@cache
def _parameters(folder: RunFolder, config: str) -> Parameters:
    """Count them in newly built networks, which needs no checkpoint."""
    parsed = parse_config(config, str(folder.config))
    results = json.loads(folder.results.read_text(encoding="utf-8"))
    # Runs of the first versions have it only in the checkpoint.
    num_classes = results.get("train_classes") or load_checkpoint(folder.last)["num_classes"]
    embedder = build_embedder(parsed, pretrained=False)
    generator = build_generator(parsed, num_classes)
    trained = []
    if generator is not None:
        trained = list(generator.head_parameters())
        if generator.has_generator_losses:
            trained += generator.classifier_parameters()
    return Parameters(
        sum(p.numel() for p in embedder.parameters() if p.requires_grad),
        sum(p.numel() for p in trained),
    )
