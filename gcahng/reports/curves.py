"""Curves of one or several runs as small SVG pictures, one panel each."""

import io
import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gcahng.graph.visualize.style import COLOURS, STYLE, shorten
from gcahng.runs.record import figure_title

History = Sequence[Mapping[str, float]]

DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

METRICS = {name: figure_title(name) for name in ("recall@1", "map@r", "r_precision")}
SPLITS = {"val": "validation", "test": "test"}
AXES = {"epoch": "epoch", "seconds": "training time [s]"}

GENERATOR_LOSSES = ("generator", "generator_ce", "similarity", "diversity")
LOSS_PANELS: dict[str, Callable[[str], bool]] = {
    "losses of the embedder": lambda name: (
        name not in GENERATOR_LOSSES and not name.endswith("gradient")
    ),
    "losses of the generator": lambda name: name in GENERATOR_LOSSES,
    "gradient norms": lambda name: name.endswith("gradient"),
}


def retrieval_panels(histories: Mapping[str, History]) -> dict[str, str]:
    """Draw each retrieval metric of all runs, in percent, by epoch and by time.

    Args:
        histories: For each run's name one mapping per epoch, with keys such as `val/recall@1`;
            any key may be missing or NaN.

    Returns:
        SVG documents by title; none for a metric that no run has.
    """
    panels: dict[str, str] = {}
    for split, split_title in SPLITS.items():
        for metric, title in METRICS.items():
            for axis in AXES:
                lines = {
                    name: points(history, axis, f"{split}/{metric}", scale=100)
                    for name, history in histories.items()
                }
                label = f"{title} [%]"
                heading = f"{title}, {split_title} split, by {AXES[axis].partition(' [')[0]}"
                panels |= _panel(heading, axis, label, lines)
    return panels


def loss_panels(history: History) -> dict[str, str]:
    """Draw the losses and gradient norms of one run by epoch, in up to three panels.

    Args:
        history: One mapping per epoch, with keys such as `loss/metric`; any may be missing or NaN.

    Returns:
        SVG documents by title.
    """
    keys = {key: None for row in history for key in row if key.startswith("loss/")}
    names = [key.removeprefix("loss/") for key in keys]
    panels: dict[str, str] = {}
    for title, belongs in LOSS_PANELS.items():
        lines = {n: points(history, "epoch", f"loss/{n}") for n in names if belongs(n)}
        panels |= _panel(title.capitalize(), "epoch", "mean over the epoch", lines, wide_range=True)
    return panels


def points(history: History, x: str, y: str, scale: float = 1.0) -> tuple[list[float], list[float]]:
    """Collect the epochs that have finite values of both keys.

    Args:
        history: One mapping per epoch.
        x: Key of the first list.
        y: Key of the second list.
        scale: Factor for the values of `y`; default 1.

    Returns:
        Values of `x` and scaled values of `y`, two lists of the same length.

    >>> points([{"epoch": 1.0}, {"epoch": 2.0, "val/map@r": 0.5}], "epoch", "val/map@r", 100)
    ([2.0], [50.0])
    """
    pairs = [(row.get(x, math.nan), row.get(y, math.nan)) for row in history]
    kept = [(a, b * scale) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    return [a for a, _ in kept], [b for _, b in kept]


def _panel(
    title: str,
    axis: str,
    label: str,
    lines: Mapping[str, tuple[list[float], list[float]]],
    wide_range: bool = False,
) -> dict[str, str]:
    """Draw the lines that have points, as one picture by title; empty if no line has points."""
    lines = {shorten(name): line for name, line in lines.items() if line[0]}
    if not lines:
        return {}
    longest = max(len(name) for name in lines)
    columns = max(1, min(len(lines), 52 // (longest + 6)))
    height = 2.7 + 0.2 * math.ceil(len(lines) / columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, height), layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, lines, wide_range)
        axes.set(title=title, xlabel=AXES[axis], ylabel=label)
        if axis == "epoch":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        # Outside the axes, so that the legend never covers a curve.
        figure.legend(axes.get_lines(), list(lines), loc="outside lower center", ncols=columns)
        picture = io.StringIO()
        figure.savefig(picture, format="svg", metadata={"Date": None})
    return {title: picture.getvalue()}


def _draw(
    axes: Axes, lines: Mapping[str, tuple[list[float], list[float]]], wide_range: bool
) -> None:
    """Draw each line in its own colour, dash and marker; logarithmic where values span decades."""
    for number, (x, y) in enumerate(lines.values()):
        turn, colour = divmod(number, len(COLOURS))
        axes.plot(
            x,
            y,
            color=COLOURS[colour],
            linestyle=DASHES[turn % len(DASHES)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            markevery=max(1, len(x) // 8),
            linewidth=1.6,
        )
    values = [value for _, y in lines.values() for value in y]
    if wide_range and min(values) > 0 and max(values) > 50 * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
