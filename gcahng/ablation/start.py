"""The network before training, as the first rows of a table: what a run should improve on."""

from collections.abc import Mapping, Sequence
from statistics import mean

from gcahng.ablation.summary import Summary, percentages
from gcahng.runs.record import RunRecord, Split

# Percentage points: figures that are closer are one row.
SAME = 0.01

Figures = dict[str, dict[int, float]]


def starts(
    runs: Mapping[str, Mapping[int, RunRecord]],
    reference: str,
    metrics: Sequence[str],
    split: Split = "test",
) -> dict[str, Figures]:
    """Figures of the backbone's features and of the untrained last layer, in the reference's runs.

    Args:
        runs: Records by seed, by the name of the cell.
        reference: Name of the cell whose start is shown.
        metrics: Figures, such as `map@r`.
        split: As of `figures_after`.

    Returns:
        By the name of the row, each metric in percent by seed. The name contains the reference if
        other cells start differently. One row if both are equal; none if they are not measured.

    >>> before = {"zero_shot/features/map@r": 0.5, "zero_shot/head/map@r": 0.25}
    >>> starts({"a": {0: RunRecord("a", [], before, "")}}, "a", ["map@r"])
    {'features before training': {'map@r': {0: 50.0}}, 'head before training': {'map@r': {0: 25.0}}}
    """
    found: dict[str, Figures] = {}
    for source in ("features", "head"):
        own = _figures(runs[reference], source, metrics, split)
        if not any(own.values()) or any(_equal(own, other) for other in found.values()):
            continue
        others = (_figures(records, source, metrics, split) for records in runs.values())
        where = "" if all(_equal(own, other) for other in others) else f", {reference}"
        found[f"{source} before training{where}"] = own
    return found


def below_features(summaries: Mapping[str, Summary], metric: str, title: str) -> list[str]:
    """Name the cells whose mean is below their backbone's features before training.

    Args:
        summaries: By the cell's name.
        metric: A figure, such as `map@r`.
        title: What to call the figure.

    Returns:
        A list of one sentence; empty if there are no such cells, or the start is not measured.
    """
    gaps: dict[str, float] = {}
    for name, summary in summaries.items():
        last, before = summary.figures(metric), summary.figures(metric, "features")
        if seeds := last.keys() & before.keys():
            gaps[name] = mean(last[seed] - before[seed] for seed in seeds)
    below = [f"{name} ({gap:+.2f})" for name, gap in gaps.items() if round(gap, 2) < 0]
    return [f"{title} below the features before training: {', '.join(below)}."] if below else []


def _figures(
    records: Mapping[int, RunRecord], source: str, metrics: Sequence[str], split: Split
) -> Figures:
    return {metric: percentages(records, metric, source, split) for metric in metrics}


def _equal(one: Figures, other: Figures) -> bool:
    """Whether figures agree where both are measured."""
    return all(
        abs(values[seed] - other[metric][seed]) < SAME
        for metric, values in one.items()
        for seed in values.keys() & other[metric].keys()
    )
