"""Figures of the distances of positives and negatives to their anchors: a batch, a training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch_geometric.data import Data

from gcahng.graph.distances import batch_distances
from gcahng.graph.visualize.batch import as_array, class_slots, describe, require
from gcahng.graph.visualize.style import COLOURS, STYLE

# Colour, line style and label of each kind of distance, in both figures.
KINDS = {
    "positive": (COLOURS[2], "-", "anchor to positive"),
    "negative": (COLOURS[0], "--", "anchor to real negative"),
    "synthetic": (COLOURS[1], "-", "anchor to synthetic negative"),
}
DISTANCE = "distance, units of the embedding"
BINS = 40
# Factor and label of the curves below the distances.
CURVES = {
    "harder": (100, "harder than nearest\nreal negative [%]"),
    "diversity": (1, "diversity: spread of η\nover a node's partners"),
}
# With more epochs, markers would overlap.
MARKED = 30

Rows = Sequence[Mapping[str, Any]]


def draw_distances(graph: Data) -> Figure:
    """Draw histograms of the distances from anchors to positives and real and synthetic negatives.

    The further left a negative, the harder it is; vertical lines are medians.

    Args:
        graph: With slot-major nodes of S ≥ 2 classes and `negatives` [P, S, S, D].

    Example:
        >>> import torch
        >>> from gcahng.graph import batch_graph
        >>> graph = batch_graph(torch.eye(4), labels=torch.tensor([0, 1, 0, 1]))
        >>> anchors, others = graph.x.view(2, 2, 1, 4), graph.x.view(2, 1, 2, 4)
        >>> graph.negatives = (anchors + others) / 2
        >>> draw_distances(graph).get_suptitle()
        '2 classes × 2 images: 100% of the synthetic negatives are harder, ...'
    """
    negatives, slots = require(graph, "negatives"), class_slots(graph)
    if slots.size(1) < 2:
        raise ValueError("Expected a graph of at least 2 classes (got 1)")
    found = batch_distances(slots, negatives.detach().to(slots))
    values = {kind: as_array(getattr(found, kind)).flatten() for kind in KINDS}
    if slots.size(0) == 1:
        # A class with one image has no positive.
        del values["positive"]
    upper = max(float(distances.max()) for distances in values.values()) or 1.0
    with rc_context(STYLE):
        figure = Figure((7.4, 4.8))
        axes = figure.add_subplot()
        for kind, distances in values.items():
            colour, dash, label = KINDS[kind]
            median = float(np.median(distances))
            counts, edges = np.histogram(distances, BINS, (0, upper))
            heights = 100 * counts / counts.sum()
            axes.stairs(heights, edges, color=colour, alpha=0.15, fill=True)
            label = f"{label} (median {median:.3g})"
            axes.stairs(heights, edges, color=colour, linestyle=dash, linewidth=1.8, label=label)
            axes.axvline(median, color=colour, linestyle=dash, linewidth=1)
        axes.set(xlabel=DISTANCE, ylabel="share of each kind's\npairs in a bin [%]")
        axes.set(xlim=(0, upper), ylim=(0, None))
        figure.legend(loc="outside lower center")
        figure.suptitle(
            f"{describe(graph)}: {found.harder:.0%} of the synthetic negatives are harder, nearer\n"
            "to their anchor, than the nearest real image of their class"
        )
    return figure


def draw_hardness(rows: Rows) -> Figure:
    r"""Draw the distances to the anchors over the epochs of a training run.

    Top: median and middle 80 % of each kind of distance; hard negatives are as near as positives.
    Below, if the rows contain them: the share of synthetic negatives that are harder than the
    nearest real image of their class, and the spread of the coefficients.

    Args:
        rows: One mapping per epoch, in order, with `epoch`, `upper`, and histogram counts over
            equal bins of [0, upper] as `positive`, `negative` and optionally `synthetic`; also
            optional are `harder` in [0, 1] and `diversity`. Missing values, NaN and all-zero
            counts leave a gap.

    Example:
        >>> row = {"epoch": 1, "upper": 2.0, "positive": [3, 1], "negative": [1, 9], "harder": 0.5}
        >>> draw_hardness([row]).get_suptitle()
        'Synthetic negatives harder than the nearest real image of their class:\n50% in epoch 1'
    """
    curves = [name for name in CURVES if np.isfinite(_values(rows, name)).any()]
    look: dict[str, Any] = {
        "linewidth": 1.6,
        "marker": "o" if len(rows) <= MARKED else "",
        "markersize": 4,
    }
    epochs = _values(rows, "epoch")
    with rc_context(STYLE):
        figure = Figure((9.6, 6.4 if curves else 4.2))
        layout: Any = [["above"] * max(len(curves), 1), *([curves] if curves else [])]
        panels = figure.subplot_mosaic(layout, height_ratios=[1.6, 1][: len(layout)])
        _draw_bands(panels["above"], rows, look)
        for name in curves:
            scale, label = CURVES[name]
            panels[name].plot(epochs, scale * _values(rows, name), color=COLOURS[6], **look)
            panels[name].set_ylabel(label)
        if "harder" in curves:
            panels["harder"].set_ylim(-3, 103)
        for axes in panels.values():
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if len(rows) == 1:
                axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
        figure.legend(loc="outside lower center", ncols=3)
        figure.suptitle(_title(rows))
    return figure


def quantiles(row: Mapping[str, Any], kind: str, shares: Sequence[float]) -> np.ndarray:
    """Quantiles of the histogram, interpolated linearly within bins; NaN without counts."""
    counts = np.asarray(row.get(kind, ()), dtype=float)
    if not counts.sum() > 0:
        return np.full(len(shares), np.nan)
    # If all embeddings are equal, `upper` is 0 and all counts are in the first bin; use [0, 1].
    edges = np.linspace(0, float(row["upper"]) or 1.0, len(counts) + 1)
    return np.interp(shares, np.concatenate([[0], counts.cumsum() / counts.sum()]), edges)


def _values(rows: Rows, name: str) -> np.ndarray:
    found = [row.get(name) for row in rows]
    return np.array([np.nan if value is None else value for value in found], dtype=float)


def _title(rows: Rows) -> str:
    harder = _values(rows, "harder")
    known = np.isfinite(harder).nonzero()[0]
    if not known.size:
        return "Distances to the anchor through training"
    ends = dict.fromkeys((known[0], known[-1]))
    shares = ", ".join(f"{harder[row]:.0%} in epoch {rows[row]['epoch']}" for row in ends)
    return f"Synthetic negatives harder than the nearest real image of their class:\n{shares}"


def _draw_bands(axes: Axes, rows: Rows, look: dict[str, Any]) -> None:
    epochs = _values(rows, "epoch")
    for kind, (colour, dash, label) in KINDS.items():
        low, middle, high = np.stack([quantiles(row, kind, (0.1, 0.5, 0.9)) for row in rows]).T
        if np.isfinite(middle).any():
            # Lines, because a band over one epoch has no area.
            axes.vlines(epochs, low, high, color=colour, linewidth=3, alpha=0.15)
            axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(epochs, middle, color=colour, linestyle=dash, label=label, **look)
    axes.set(title="Median, and band of the middle 80 %", ylabel=DISTANCE.replace(", ", ",\n"))
    axes.set_ylim(bottom=0)
