"""Bars that compare the cells of a grid."""

import io
from collections.abc import Mapping, Sequence
from statistics import mean
from textwrap import fill

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gcahng.graph.visualize.style import COLOURS, STYLE, shorten
from gcahng.reports.tables import MISSING
from gcahng.runs.record import figure_title
from gcahng.studies.summary import Summary, paired_difference

BAR, DOT, LINE = COLOURS[5], COLOURS[0], "#1b1b1b"
# Inches: height of a row and of what is around the rows, width of a panel and of a letter.
ROW, AROUND, PANEL, LETTER = 0.32, 1.0, 3.1, 0.075
NAME = 34


def draw_bars(
    summaries: Mapping[str, Summary], reference: str, metrics: Sequence[str], title: str
) -> Figure:
    """Draw one panel for each metric, with one row for each cell."""
    names, title = [shorten(name, NAME) for name in summaries], fill(title, 66)
    width = PANEL * len(metrics) + LETTER * max(map(len, names))
    height = AROUND + ROW * len(names) + 0.2 * len(title.splitlines())
    with rc_context(STYLE):
        figure = Figure((width, height), layout="constrained")
        panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        for axes, metric in zip(panels, metrics, strict=True):
            _draw(axes, summaries, summaries[reference].figures(metric), metric)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].get_yticklabels()[list(summaries).index(reference)].set_fontweight("bold")
        panels[0].set_ylim(len(names) - 0.4, -0.6)
        figure.suptitle(title, fontsize=STYLE["axes.titlesize"])
    return figure


def as_png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    picture = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(picture, format="png", dpi=160)
    return picture.getvalue()


def _draw(
    axes: Axes, summaries: Mapping[str, Summary], reference: Mapping[int, float], metric: str
) -> None:
    for row, summary in enumerate(summaries.values()):
        values = summary.figures(metric)
        text = MISSING
        if values:
            _bar(axes, row, summary.seeds, values, reference)
            text = f"{mean(values.values()):.2f}"
        axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    if reference:
        axes.axvline(mean(reference.values()), color=LINE, linewidth=1)
    axes.use_sticky_edges = False
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y", visible=False)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"{figure_title(metric)} [%]")


def _bar(
    axes: Axes,
    row: int,
    seeds: range,
    values: Mapping[int, float],
    reference: Mapping[int, float],
) -> None:
    start = mean(reference.values()) if reference else 0.0
    difference = paired_difference(values, reference)
    end = mean(values.values()) if difference is None else start + difference.mean
    axes.barh(row, end - start, left=start, height=0.62, color=BAR)
    if difference is not None and difference.interval is not None:
        reach = difference.interval[1] - difference.mean
        axes.errorbar(end, row, xerr=reach, color=LINE, capsize=3, linewidth=1.4)
    # Each seed has its own height, the same in all rows, so dots at the same height are a pair.
    heights = [row + 0.5 * ((seeds.index(seed) + 0.5) / len(seeds) - 0.5) for seed in values]
    axes.scatter(list(values.values()), heights, s=11, facecolor="white", edgecolor=DOT, zorder=3)
