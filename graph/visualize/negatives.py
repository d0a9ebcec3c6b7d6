"""Figure of the synthetic negatives among the real embeddings."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph.visualize.batch import (
    as_array,
    class_slots,
    class_titles,
    describe,
    require,
    style_of,
)
from gcahng.graph.visualize.projection import Projection, spread
from gcahng.graph.visualize.style import COLOURS

ANCHORS, COLUMNS, PANEL = 3, 3, 4.6
ANCHOR, POSITIVE, SYNTHETIC, REAL = COLOURS[6], COLOURS[2], COLOURS[1], COLOURS[0]


def draw_negatives(graph: Data, anchors: Sequence[int] | None = None) -> Figure:
    """Draw the synthetic negatives of some anchors among the real embeddings, one panel each.

    All panels show the principal plane of the real embeddings (`Projection`). A line goes from the
    anchor to each synthetic negative, one per other class, and on to the nearest real image of that
    class; a short first segment is a hard negative. Numbers are classes, at their centres.

    Args:
        graph: With slot-major nodes and `negatives` [P, S, S, D].
        anchors: Nodes in [0, B); default: three, spread along the first principal component.

    Raises:
        ValueError: If the graph has no negatives or no such anchor, or nodes are in another order.

    Example:
        >>> from gcahng.graph import batch_graph
        >>> graph = batch_graph(torch.randn(4, 8), labels=torch.tensor([0, 1, 0, 1]))
        >>> anchors, others = graph.x.view(2, 2, 1, 8), graph.x.view(2, 1, 2, 8)
        >>> graph.negatives = (anchors + others) / 2
        >>> draw_negatives(graph, anchors=[3]).axes[0].get_title()
        'anchor #3 (class 1, drawn as 2)'
    """
    negatives = require(graph, "negatives").detach()
    slots = class_slots(graph)
    projection = Projection.fit(graph.x)
    points = as_array(projection(graph.x))
    for anchor in anchors or ():
        if not 0 <= anchor < len(points):
            raise ValueError(f"Expected 'anchors' in [0, {len(points)}) (got {anchor})")
    chosen = list(anchors or _default_anchors(points))
    titles = class_titles(graph, 28)
    with rc_context(style_of(graph)):
        figure, panels = _panels(points, len(chosen))
        for axes, anchor in zip(panels.flat, chosen, strict=False):
            _draw_panel(axes, projection, slots, negatives, anchor)
            number = anchor % slots.size(1)
            name = f"anchor #{anchor} ({titles[number]}, drawn as {number + 1})"
            axes.set_title(name, fontsize=10)
        xlabel, ylabel = projection.axis_labels()
        for axes in panels[-1]:
            axes.set_xlabel(xlabel)
        for axes in panels[:, 0]:
            axes.set_ylabel(ylabel)
        handles, labels = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        figure.suptitle(
            f"{describe(graph)}: the synthetic negatives of some anchors,\n"
            "one of each other class; numbers are classes, at their centres",
        )
    return figure


def _panels(points: np.ndarray, count: int) -> tuple[Figure, np.ndarray]:
    """Create a figure with `count` panels in the aspect ratio of the points [B, 2]."""
    extent = np.ptp(points, axis=0)
    columns = min(count, COLUMNS)
    rows = ceil(count / columns)
    # Limits that leave room for axis labels and fit a screen.
    height = PANEL * float(np.clip(extent[1] / extent[0] if extent[0] else 1, 0.75, 1.2))
    figure = Figure((max(PANEL * columns, 7.0), (height + 0.3) * rows + 1.2))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[count:]:
        axes.set_axis_off()
    return figure, panels


def _default_anchors(points: np.ndarray) -> list[int]:
    """Nodes at evenly spaced ranks of the first principal component."""
    order = points[:, 0].argsort(kind="stable")
    count = min(ANCHORS, len(points))
    return [int(order[(2 * part + 1) * len(points) // (2 * count)]) for part in range(count)]


def _draw_panel(
    axes: Axes, projection: Projection, slots: Tensor, negatives: Tensor, anchor: int
) -> None:
    samples, classes, _ = slots.shape
    slot, own = divmod(anchor, classes)
    others = np.arange(classes) != own
    made = negatives[slot, own].to(slots)
    ends = as_array(projection(made))[others]
    nearest = (slots - made).norm(dim=-1).argmin(0)
    reals = slots[nearest, torch.arange(classes, device=slots.device)]
    reals = as_array(projection(reals))[others]
    points = as_array(projection(slots))
    start, positive = points[slot, own], points[(slot + 1) % samples, own]
    _draw_classes(axes, points)
    ways = {
        ("-", "from anchor to synthetic negative"): [(start, end) for end in ends],
        (":", "on to the nearest real image of that class"): list(zip(ends, reals, strict=True)),
    }
    for (dash, label), way in ways.items():
        axes.add_collection(
            LineCollection(
                way, colors=SYNTHETIC, linestyles=dash, linewidths=0.8, label=label, zorder=2
            )
        )
    marks: dict[str, tuple[np.ndarray, int, dict[str, Any]]] = {
        "real image": (points, 4, {"color": REAL, "marker": "o"}),
        "synthetic negative": (ends, 6, {"color": SYNTHETIC, "marker": "X"}),
        "positive": (positive, 9, {"color": POSITIVE, "marker": "^"}),
        "anchor": (start, 13, {"color": ANCHOR, "marker": "*"}),
    }
    if samples == 1:
        del marks["positive"]
    for zorder, (label, (at, size, look)) in enumerate(marks.items(), start=4):
        x, y = at.reshape(-1, 2).T
        axes.plot(x, y, linestyle="", markersize=size, mew=0, label=label, zorder=zorder, **look)
    axes.set_aspect("equal")


def _draw_classes(axes: Axes, points: np.ndarray) -> None:
    """Connect the images [P, S, 2] of each class to their centre, and number the centre."""
    centres = points.mean(axis=0)
    rays = np.stack([points, np.broadcast_to(centres, points.shape)], axis=2).reshape(-1, 2, 2)
    axes.add_collection(LineCollection(list(rays), colors="#bbbbbb", linewidths=0.7, zorder=1))
    # Boxes of the size of two digits, so that numbers do not overlap.
    extent = float(np.ptp(points.reshape(-1, 2), axis=0).max()) or 1.0
    places = spread(centres, (0.05 * extent, 0.035 * extent))
    for number, (x, y) in enumerate(places, start=1):
        text = axes.text(x, y, str(number), fontsize=8, ha="center", va="center", zorder=8)
        text.set_path_effects([withStroke(linewidth=2, foreground="white")])
