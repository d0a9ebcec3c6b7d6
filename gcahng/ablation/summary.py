"""What the finished runs of a grid say: figures over the seeds and paired differences."""

from collections.abc import Mapping
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

# Percentage points below which differences are the same but for rounding.
SAME = 1e-9


@dataclass(frozen=True)
class Parameters:
    """How many numbers training changes, the metric loss's own left out."""

    embedder: int
    generator: int


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences, and how sure it is.

    Attributes:
        mean: Over the pairs.
        interval: Its 95 % confidence interval by Student's t; None where there is one pair, or
            all differ alike: retrieval counts in steps, and that is no certainty.
        pairs: How many.
        p: Two-sided, by the same t; None as the interval.
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
        seeds: All of the grid's.
        split: Whose figures count.
        records: Of the finished runs, by seed.
        failures: Why some of the others have no figures, by seed.
        parameters: None while no run has finished.
    """

    cell: Cell
    seeds: range
    split: Split
    records: Mapping[int, RunRecord]
    failures: Mapping[int, str]
    parameters: Parameters | None

    def figures(self, name: str) -> dict[int, float]:
        """A figure in percent after the last epoch, by seed; without the runs that lack it."""
        measured = {
            seed: figures_after(record, "last", self.split).get(name)
            for seed, record in self.records.items()
        }
        return {
            seed: 100 * value
            for seed, value in measured.items()
            if value is not None and isfinite(value)
        }


def summarize(grid: Grid) -> dict[str, Summary]:
    """Read what there is of every cell, by its name."""
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


def paired_difference(
    values: Mapping[int, float], reference: Mapping[int, float]
) -> Difference | None:
    """Differences to the reference, of the seeds that both have.

    Returns:
        None where there are none.
    """
    gaps = [values[seed] - reference[seed] for seed in values if seed in reference]
    if not gaps:
        return None
    middle, pairs = mean(gaps), len(gaps)
    error = stdev(gaps) / pairs**0.5 if pairs > 1 else 0.0
    if not error > SAME:
        return Difference(middle, None, pairs)
    reach = float(stats.t.ppf(0.975, pairs - 1)) * error
    p = 2 * float(stats.t.sf(abs(middle) / error, pairs - 1))
    return Difference(middle, (middle - reach, middle + reach), pairs, p)


@cache
def _parameters(folder: RunFolder, config: str) -> Parameters:
    """Count them in a network built for the purpose; only a checkpoint knows the classes."""
    parsed = parse_config(config, str(folder.config))
    num_classes = load_checkpoint(folder.last)["num_classes"]
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
