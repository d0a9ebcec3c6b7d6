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

# Colour, line style and label of each kind of distance, in all figures.
KINDS = {
    "positive": (COLOURS[2], "-", "anchor to positive"),
    "negative": (COLOURS[0], "--", "anchor to real negative"),
    "synthetic": (COLOURS[1], "-", "anchor to synthetic negative"),
}
DISTANCE = "distance, units of the embedding"
# Axis label of histograms whose bins sum to 100 %.
SHARE = "share of each kind's\npairs in a bin [%]"
BINS = 40

Rows = Sequence[Mapping[str, Any]]

CURVES = {
    "harder": (100, "harder than nearest\nreal negative [%]"),
    "diversity": (1, "diversity: spread of η\nover a node's partners"),
}
LOW, MIDDLE, HIGH = 0.1, 0.5, 0.9
# With more epochs, markers would overlap.
MARKED = 30


def draw_distances(graph: Data) -> Figure:
    """Draw histograms of the distances from anchors to positives and real and synthetic negatives.

    The further left a negative, the harder it is; vertical lines are medians.

    Args:
        graph: With slot-major nodes of S ≥ 2 classes and `negatives` [P, S, S, D].

    Raises:
        ValueError: If the graph has no negatives, only one class, or nodes in another order.

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
            median = float(np.median(distances))
            counts, _ = np.histogram(distances, BINS, (0, upper))
            draw_counts(axes, kind, counts, upper, f"{KINDS[kind][2]} (median {median:.3g})")
            axes.axvline(median, color=KINDS[kind][0], linestyle=KINDS[kind][1], linewidth=1)
        axes.set(xlabel=DISTANCE, ylabel=SHARE, xlim=(0, upper), ylim=(0, None))
        figure.legend(loc="outside lower center")
        figure.suptitle(
            f"{describe(graph)}: {found.harder:.0%} of the synthetic negatives are harder, nearer\n"
            "to their anchor, than the nearest real image of their class",
        )
    return figure


def draw_counts(axes: Axes, kind: str, counts: np.ndarray, upper: float, label: str = "") -> None:
    """Draw counts of equal bins of [0, upper] as shares that sum to 100 %."""
    colour, dash, _ = KINDS[kind]
    edges = np.linspace(0, upper, len(counts) + 1)
    heights = 100 * counts / counts.sum()
    axes.stairs(heights, edges, color=colour, alpha=0.15, fill=True)
    axes.stairs(heights, edges, color=colour, linestyle=dash, linewidth=1.8, label=label)


def draw_hardness(rows: Rows) -> Figure:
    r"""Draw the distances to the anchors over the epochs of a training run.

    Top: median and middle 80 % of each kind of distance; hard negatives are as near as positives.
    Middle: the full distribution in the first, middle and last epoch. Bottom: the share of
    synthetic negatives that are harder than the nearest real image of their class, and the spread
    of the coefficients, if the rows contain them.

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
    kinds = [kind for kind in KINDS if any(counted(row, kind) for row in rows)]
    curves = [name for name in CURVES if np.isfinite(_values(rows, name)).any()]
    chosen = sorted({0, (len(rows) - 1) // 2, len(rows) - 1})
    heights = [3.2, 2.3, *([2.1] if curves else [])]
    with rc_context(STYLE):
        figure = Figure((9.6, sum(heights) + 1.0))
        parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
        through = parts[0].subplots()
        _draw_bands(through, rows, kinds)
        epochs = parts[1].subplots(1, len(chosen), sharex=True, sharey=True, squeeze=False)[0]
        for axes, number in zip(epochs, chosen, strict=True):
            _draw_epoch(axes, rows[number], kinds)
        epochs[0].set(ylabel=SHARE, ylim=(0, None))
        if curves:
            below = parts[2].subplots(1, len(curves), squeeze=False)[0]
            for axes, name in zip(below, curves, strict=True):
                _draw_curve(axes, rows, name)
        handles, _ = through.get_legend_handles_labels()
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        figure.suptitle(_title(rows))
    return figure


def quantiles(row: Mapping[str, Any], kind: str, shares: Sequence[float]) -> np.ndarray:
    """Quantiles of the histogram, interpolated linearly within bins; NaN without counts."""
    if not counted(row, kind):
        return np.full(len(shares), np.nan)
    counts = np.asarray(row[kind], dtype=float)
    edges = np.linspace(0, _upper(row), len(counts) + 1)
    return np.interp(shares, np.concatenate([[0], counts.cumsum() / counts.sum()]), edges)


def _upper(row: Mapping[str, Any]) -> float:
    # If all embeddings are equal, `upper` is 0 and all counts are in the first bin; use [0, 1].
    return float(row["upper"]) or 1.0


def counted(row: Mapping[str, Any], kind: str) -> bool:
    """True if a row has distances of this kind."""
    counts = row.get(kind)
    return counts is not None and float(np.sum(counts)) > 0


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


def _draw_bands(axes: Axes, rows: Rows, kinds: Sequence[str]) -> None:
    epochs = _values(rows, "epoch")
    for kind in kinds:
        colour, dash, label = KINDS[kind]
        found = np.stack([quantiles(row, kind, (LOW, MIDDLE, HIGH)) for row in rows])
        axes.fill_between(epochs, found[:, 0], found[:, 2], color=colour, alpha=0.15, linewidth=0)
        axes.plot(epochs, found[:, 1], color=colour, linestyle=dash, label=label, **_marker(rows))
        if len(rows) == 1:
            # A band over one epoch has no area, so draw a line.
            axes.vlines(epochs, found[:, 0], found[:, 2], color=colour, linewidth=4, alpha=0.3)
    axes.set(title="Median, and band of the middle 80 %", ylabel=DISTANCE.replace(", ", ",\n"))
    axes.set_ylim(bottom=0)
    _epoch_axis(axes, rows)


def _draw_epoch(axes: Axes, row: Mapping[str, Any], kinds: Sequence[str]) -> None:
    for kind in kinds:
        if counted(row, kind):
            draw_counts(axes, kind, np.asarray(row[kind], dtype=float), _upper(row))
    axes.set(title=f"epoch {row['epoch']}", xlabel="distance")
    axes.margins(x=0)


def _draw_curve(axes: Axes, rows: Rows, name: str) -> None:
    scale, label = CURVES[name]
    axes.plot(
        _values(rows, "epoch"), scale * _values(rows, name), color=COLOURS[6], **_marker(rows)
    )
    axes.set_ylabel(label)
    if name == "harder":
        axes.set_ylim(-3, 103)
    _epoch_axis(axes, rows)


def _marker(rows: Rows) -> dict[str, Any]:
    return {"linewidth": 1.6, "marker": "o" if len(rows) <= MARKED else "", "markersize": 4}


def _epoch_axis(axes: Axes, rows: Rows) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(rows) == 1:
        axes.set_xlim(rows[0]["epoch"] - 1, rows[0]["epoch"] + 1)
