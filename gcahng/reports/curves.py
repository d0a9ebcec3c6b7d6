"""Curves of a run as small SVG pictures, one panel each."""

import io
import math
from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gcahng.graph.visualize.style import COLOURS, STYLE
from gcahng.pages import data_uri
from gcahng.runs.record import Split, figure_title

History = Sequence[Mapping[str, float]]

METRICS = ("recall@1", "map@r", "r_precision")
SPLITS: dict[Split, str] = {"val": "validation", "test": "test"}
GENERATOR_LOSSES = ("generator", "generator_ce", "similarity", "diversity")


def retrieval_panels(histories: Mapping[str, History]) -> dict[str, str]:
    """Draw retrieval figures in percent by epoch: `data:` URIs by title; none without values."""
    panels = {}
    for split, word in SPLITS.items():
        for metric in METRICS:
            key, title = f"{split}/{metric}", f"{figure_title(metric)}, {word} split [%]"
            lines = {name: points(history, key, 100) for name, history in histories.items()}
            panels[title] = _panel(title, lines)
    return {title: picture for title, picture in panels.items() if picture}


def loss_panels(history: History) -> dict[str, str]:
    """Draw losses and gradient norms, means over each epoch, as `retrieval_panels`."""
    keys = dict.fromkeys(key for row in history for key in row if key.startswith("loss/"))
    names = [key.removeprefix("loss/") for key in keys]
    norms = [name for name in names if name.endswith("gradient")]
    generator = [name for name in names if name in GENERATOR_LOSSES]
    groups = {
        "Losses of the embedder": [n for n in names if n not in (*norms, *generator)],
        "Losses of the generator": generator,
        "Gradient norms": norms,
    }
    panels = {
        title: _panel(title, {name: points(history, f"loss/{name}") for name in group}, log=True)
        for title, group in groups.items()
    }
    return {title: picture for title, picture in panels.items() if picture}


def points(history: History, key: str, scale: float = 1.0) -> tuple[list[float], list[float]]:
    """Collect the epochs that have a finite value, and the scaled values."""
    pairs = [(row.get("epoch", math.nan), scale * row.get(key, math.nan)) for row in history]
    kept = [pair for pair in pairs if math.isfinite(sum(pair))]
    return [epoch for epoch, _ in kept], [value for _, value in kept]


def _panel(
    title: str, lines: Mapping[str, tuple[list[float], list[float]]], log: bool = False
) -> str:
    """Draw the lines that have points; empty if none has. Values over decades are logarithmic."""
    lines = {name: line for name, line in lines.items() if line[0]}
    if not lines:
        return ""
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.0), layout="constrained")
        axes = figure.add_subplot(title=title, xlabel="epoch")
        for number, (x, y) in enumerate(lines.values()):
            colour, mark = COLOURS[number % len(COLOURS)], "os^DvPX"[number % 7]
            every = max(1, len(x) // 8)
            axes.plot(x, y, color=colour, marker=mark, markersize=4, markevery=every)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        values = [value for _, y in lines.values() for value in y]
        if log and min(values) > 0 and max(values) > 50 * min(values):
            axes.set_yscale("log")
            # As numbers: the style shows names as they are, and so powers as TeX.
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
        # Outside the axes, so that the legend never covers a curve.
        figure.legend(axes.get_lines(), list(lines), loc="outside lower center", ncols=2)
        picture = io.BytesIO()
        figure.savefig(picture, format="svg", metadata={"Date": None})
    return data_uri(picture.getvalue(), "image/svg+xml")
