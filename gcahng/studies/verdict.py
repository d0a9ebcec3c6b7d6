"""Which cells differ from the reference, as far as the seeds can tell."""

from collections.abc import Mapping
from statistics import mean

from gcahng.studies.summary import Difference, Summary, paired_difference

LEVEL = 0.05
DIRECTIONS = {"higher": 1, "lower": -1}


def verdict(summaries: Mapping[str, Summary], reference: str, metric: str, title: str) -> list[str]:
    """Sort every cell into one of three groups by its paired t-test against the reference.

    The groups: significant after Holm's correction for the number of cells (if no cell differed,
    the chance of any cell in this group would be at most 5 %), significant without correction, and
    not significant.

    Args:
        summaries: By the cell's name.
        reference: Name of the cell that the others are compared with.
        metric: A figure, such as `map@r`.
        title: What to call the figure.

    Returns:
        A sentence for each group that has cells; none where no cell has two pairs.

    Source: Holm (Scandinavian Journal of Statistics, 1979).
    """
    line = summaries[reference].figures(metric)
    differences: dict[str, Difference] = {}
    for name, summary in summaries.items():
        difference = paired_difference(summary.figures(metric), line)
        if name != reference and difference is not None and difference.p is not None:
            differences[name] = difference
    significant = holm({name: d.p for name, d in differences.items() if d.p is not None})
    uncorrected = {name for name, d in differences.items() if d.p is not None and d.p <= LEVEL}
    sentences = []
    for names, how in (
        (significant, f", also after Holm's correction for {len(differences)} cells"),
        (uncorrected - significant, " by an uncorrected t-test only"),
    ):
        for word, sign in DIRECTIONS.items():
            cells = _listed(differences, [n for n in names if sign * differences[n].mean > 0])
            if cells:
                sentences.append(f"{title} {word} than with '{reference}'{how}: {cells}.")
    rest = _listed(differences, [name for name in differences if name not in uncorrected])
    if rest:
        sentences.append(f"{title} not significantly different from '{reference}': {rest}.")
    return sentences


def leaders(summaries: Mapping[str, Summary], metric: str, title: str, count: int = 5) -> list[str]:
    """Name the cells with the highest means in one sentence, the best first.

    Args:
        summaries: By the cell's name.
        metric: A figure, such as `map@r`.
        title: What to call the figure.
        count: How many cells to name; default 5.

    Returns:
        A list of one sentence; empty while there are no figures.
    """
    means = {name: mean(v.values()) for name, s in summaries.items() if (v := s.figures(metric))}
    best = sorted(means, key=lambda name: -means[name])[:count]
    cells = ", ".join(f"{name} ({means[name]:.2f})" for name in best)
    return [f"Highest {title}: {cells}."] if best else []


def holm(p: Mapping[str, float], level: float = LEVEL) -> set[str]:
    """Names whose null hypothesis Holm's step-down procedure rejects.

    Args:
        p: p-values by name.
        level: Family-wise error rate; default 0.05.

    >>> sorted(holm({"a": 0.001, "b": 0.03, "c": 0.04, "d": 0.016}))
    ['a', 'd']
    """
    rejected: set[str] = set()
    for name in sorted(p, key=lambda name: p[name]):
        if p[name] > level / (len(p) - len(rejected)):
            break
        rejected.add(name)
    return rejected


def _listed(differences: Mapping[str, Difference], names: list[str]) -> str:
    """Names with their differences, the largest first."""
    names = sorted(names, key=lambda name: -abs(differences[name].mean))
    return ", ".join(f"{name} ({differences[name].mean:+.2f})" for name in names)
