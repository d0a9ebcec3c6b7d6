"""Which cells of a grid were trained for as long as another, and by which clock."""

from collections.abc import Mapping, Sequence

from gcahng.ablation.grid import Grid
from gcahng.ablation.summary import Summary
from gcahng.runs.record import work_clock

CLOCKS = {
    "work_seconds": (
        "Equal work: CPU seconds of the training process, on which load elsewhere has much less "
        "effect than on wall-clock time; on a GPU, wall-clock seconds."
    ),
    "seconds": (
        "Equal time: wall-clock seconds where a run by an earlier version has not measured its "
        "work; load elsewhere on the machine counts."
    ),
}


def equal_time_notes(grid: Grid, summaries: Mapping[str, Summary]) -> list[str]:
    """Sentences for the report.

    Args:
        grid: The grid.
        summaries: By the cell's name.

    Returns:
        One sentence for each cell of equal time, then one for each clock that was used.
    """
    notes, used = [], set()
    for cell in grid.cells.values():
        if cell.equal_time is None:
            continue
        clocks = _clocks([summaries[name] for name in cell.waits_for])
        used |= set(clocks.values())
        notes.append(
            f"'{cell.name}' is '{cell.equal_time.of}' trained for as long as "
            f"'{cell.equal_time.as_long_as}' took with the same seed, by the median epoch of "
            f"each{_named_clocks(clocks)}."
        )
    return notes + [sentence for clock, sentence in CLOCKS.items() if clock in used]


def _clocks(pair: Sequence[Summary]) -> dict[int, str]:
    """The clock that compares two cells, by the seeds that both have finished."""
    of, as_long_as = (summary.records for summary in pair)
    return {seed: work_clock([of[seed], as_long_as[seed]]) for seed in of if seed in as_long_as}


def _named_clocks(clocks: Mapping[int, str]) -> str:
    """Where the pairs of a cell were compared by wall-clock time, and not by their work."""
    seeds = [str(seed) for seed, clock in clocks.items() if clock == "seconds"]
    if not seeds:
        return ""
    return f" (seed {', '.join(seeds)} by wall-clock time)"
