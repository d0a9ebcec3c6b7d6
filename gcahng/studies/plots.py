"""Pictures of a grid: bars that compare the cells, and their learning curves."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from textwrap import fill
from typing import IO, Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gcahng.graph.visualize.style import COLOURS, STYLE, shorten
from gcahng.pages import data_uri
from gcahng.reports.curves import METRICS, History, loss_panels, retrieval_panels
from gcahng.reports.page import PageImage, svg_images
from gcahng.reports.tables import MISSING
from gcahng.studies.summary import Summary, paired_difference

BAR, DOT, LINE = COLOURS[5], COLOURS[0], "#1b1b1b"
# Inches: height of a row and of what is around the rows, width of a panel and of a letter.
ROW, AROUND, PANEL, LETTER = 0.32, 1.0, 3.1, 0.075
NAME = 34
# More lines in one panel are hard to distinguish.
LINES = 10
# Without a date, so that the same figures give the same bytes.
METADATA: dict[str, Any] = {"svg": {"Date": None}, "png": None}


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


def draw_bars(
    summaries: Mapping[str, Summary], reference: str, metrics: Sequence[str], title: str = ""
) -> Figure:
    """Draw one panel for each metric, with one row for each cell.

    A bar starts at the reference's mean, so its length is the difference. Whiskers are the
    confidence interval of the paired difference: where one crosses the line, the difference may be
    chance.
    """
    names = [shorten(name, NAME) for name in summaries]
    title = fill(title, 66)
    width = PANEL * len(metrics) + LETTER * max(map(len, names))
    height = AROUND + ROW * len(names) + 0.2 * len(title.splitlines())
    with rc_context(STYLE):
        figure = Figure((width, height), layout="constrained")
        panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        for axes, metric in zip(panels, metrics, strict=True):
            _draw(axes, summaries, summaries[reference], metric)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].get_yticklabels()[list(summaries).index(reference)].set_fontweight("bold")
        panels[0].set_ylim(len(names) - 0.4, -0.6)
        if title:
            figure.suptitle(title, fontsize=STYLE["axes.titlesize"])
    return figure


def save_picture(figure: Figure, target: Path | IO[Any], kind: str) -> None:
    """Write a picture as `svg` or `png`."""
    with rc_context(STYLE):
        figure.savefig(target, format=kind, dpi=160, metadata=METADATA[kind])


def image_of(figure: Figure) -> PageImage:
    """Turn a bar chart of one panel into an image of a page."""
    file = io.BytesIO()
    save_picture(figure, file, "svg")
    return PageImage(figure.axes[0].get_xlabel(), data_uri(file.getvalue(), "image/svg+xml"))


def draw_curves(summaries: Mapping[str, Summary], reference: str) -> Curves | None:
    """Draw the curves of all cells, or of the reference and the best cells where there are many.

    Returns:
        None while no run has finished.
    """

    def score(name: str) -> tuple[bool, float]:
        values = summaries[name].figures("map@r").values()
        return name == reference, mean(values) if values else 0.0

    trained = [name for name, summary in summaries.items() if summary.records]
    if not trained:
        return None
    best = sorted(trained, key=score, reverse=True)[:LINES]
    histories = {
        name: mean_history([record.history for record in summaries[name].records.values()])
        for name in trained
        if name in best
    }
    caption = "Means over the finished runs of each cell, up to the last epoch that all have."
    if len(best) < len(trained):
        caption += f" The curves show '{reference}' and the cells with the highest MAP@R."
    return Curves(
        caption,
        svg_images(retrieval_panels(histories)),
        {name: svg_images(loss_panels(history)) for name, history in histories.items()},
    )


def mean_history(histories: Sequence[History]) -> list[dict[str, float]]:
    """Average the histories of several runs epoch by epoch.

    Returns:
        As many epochs as the shortest history has, with the keys that all runs have there.

    >>> mean_history([[{"epoch": 1.0, "val/map@r": 0.2}], [{"epoch": 1.0, "val/map@r": 0.4}]])
    [{'epoch': 1.0, 'val/map@r': 0.3...}]
    """
    return [
        {key: mean(row[key] for row in rows) for key in rows[0] if all(key in row for row in rows)}
        for rows in zip(*histories, strict=False)
    ]


def _draw(axes: Axes, summaries: Mapping[str, Summary], reference: Summary, metric: str) -> None:
    line = reference.figures(metric)
    for row, summary in enumerate(summaries.values()):
        end = _bar(axes, row, summary, metric, line) if summary.figures(metric) else None
        text = MISSING if end is None else f"{end:.2f}"
        axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    if line:
        axes.axvline(mean(line.values()), color=LINE, linewidth=1)
    axes.use_sticky_edges = False
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y", visible=False)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"{METRICS[metric]} [%]")


def _bar(
    axes: Axes, row: int, summary: Summary, metric: str, reference: Mapping[int, float]
) -> float:
    """Draw one cell's row; return its mean over the seeds."""
    values = summary.figures(metric)
    middle = mean(values.values())
    start = mean(reference.values()) if reference else 0.0
    difference = paired_difference(values, reference)
    end = middle if difference is None else start + difference.mean
    axes.barh(row, end - start, left=start, height=0.62, color=BAR)
    if difference is not None and difference.interval is not None:
        reach = difference.interval[1] - difference.mean
        axes.errorbar(end, row, xerr=reach, color=LINE, capsize=3, linewidth=1.4)
    # Each seed has its own height, the same in all rows, so dots at the same height are a pair.
    seeds = summary.seeds
    heights = [row + 0.5 * ((seeds.index(seed) + 0.5) / len(seeds) - 0.5) for seed in values]
    axes.scatter(list(values.values()), heights, s=11, facecolor="white", edgecolor=DOT, zorder=3)
    return middle
