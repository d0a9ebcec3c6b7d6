"""Learning curves of a grid's cells, averaged over the seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from gcahng.ablation.summary import Summary
from gcahng.reports.curves import History, loss_panels, retrieval_panels
from gcahng.reports.page import PageImage, svg_images
from gcahng.runs.record import work_clock

# More lines in one panel are hard to distinguish.
LINES = 10


@dataclass(frozen=True)
class Curves:
    """Panels of the HTML page.

    Attributes:
        caption: Which cells they show, and how.
        retrieval: Retrieval figures of all these cells, a panel for each figure.
        losses: Losses by the cell's name.
    """

    caption: str
    retrieval: Sequence[PageImage]
    losses: Mapping[str, Sequence[PageImage]]


def draw_curves(summaries: Mapping[str, Summary], reference: str) -> Curves | None:
    """Draw the curves of all cells, or of the reference and the best cells where there are many.

    Args:
        summaries: By the cell's name.
        reference: Name of the reference.

    Returns:
        None while no run has finished.
    """
    trained = {name: summary for name, summary in summaries.items() if summary.records}
    if not trained:
        return None
    chosen = _best(trained, reference) if len(trained) > LINES else trained
    records = [record for summary in chosen.values() for record in summary.records.values()]
    histories = {
        name: mean_history([record.history for record in summary.records.values()])
        for name, summary in chosen.items()
    }
    clock = work_clock(records)
    caption = "Means over the finished runs of each cell, up to the last epoch that all have."
    if len(chosen) < len(trained):
        caption += f" The curves show '{reference}' and the cells with the highest MAP@R."
    if clock == "work_seconds":
        caption += (
            " Training work is the CPU time of the training process on a CPU, and wall-clock time "
            "on a GPU."
        )
    return Curves(
        caption,
        svg_images(retrieval_panels(histories, clock)),
        {name: svg_images(loss_panels(history)) for name, history in histories.items()},
    )


def mean_history(histories: Sequence[History]) -> list[dict[str, float]]:
    """Average the histories of several runs epoch by epoch.

    Args:
        histories: One for each run.

    Returns:
        As many epochs as the shortest history has, with the keys that all runs have there.

    >>> mean_history([[{"epoch": 1.0, "val/map@r": 0.2}], [{"epoch": 1.0, "val/map@r": 0.4}]])
    [{'epoch': 1.0, 'val/map@r': 0.3...}]
    """
    return [
        {key: mean(row[key] for row in rows) for key in rows[0] if all(key in row for row in rows)}
        for rows in zip(*histories, strict=False)
    ]


def _best(summaries: Mapping[str, Summary], reference: str) -> dict[str, Summary]:
    """The reference and the cells with the highest MAP@R, in their own order."""

    def score(name: str) -> tuple[bool, float]:
        values = summaries[name].figures("map@r").values()
        return name == reference, mean(values) if values else 0.0

    best = sorted(summaries, key=score, reverse=True)[:LINES]
    return {name: summary for name, summary in summaries.items() if name in best}
