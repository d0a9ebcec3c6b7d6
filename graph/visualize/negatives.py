"""Where the synthetic negatives lie, beside their anchors and the classes they stand for."""

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

from gcahng.graph.visualize.batch import as_array, class_slots, class_titles, describe, require
from gcahng.graph.visualize.projection import Projection
from gcahng.graph.visualize.spread import spread
from gcahng.graph.visualize.style import COLOURS, STYLE

ANCHORS, COLUMNS, PANEL = 3, 3, 4.6
ANCHOR, POSITIVE, SYNTHETIC, REAL = COLOURS[6], COLOURS[2], COLOURS[1], COLOURS[0]


def draw_negatives(graph: Data, anchors: Sequence[int] | None = None) -> Figure:
    """Draw the synthetic negatives of a few anchors among the real embeddings, a panel each.

    The plane is that of the real embeddings (`Projection`), the same in all panels. From the anchor
    a line leads to each synthetic negative, one per other class, and on to the nearest real image
    of that class; short first parts are hard negatives. Numbers are classes, at their centres.

    Args:
        graph: With `negatives` [P, S, S, D] of its slot-major nodes.
        anchors: Nodes, in [0, B); None: three from left to right of the plane.

    Raises:
        ValueError: If there are no negatives or no such anchor, or nodes are in another order.
    """
    negatives = require(graph, "negatives").detach()
    slots = class_slots(graph)
    projection = Projection.fit(graph.x)
    points = as_array(projection(graph.x))
    chosen = _check_anchors(anchors, len(points)) if anchors else _default_anchors(points)
    titles = class_titles(graph, 28)
    extent = np.ptp(points, axis=0)
    columns = min(len(chosen), COLUMNS)
    rows = ceil(len(chosen) / columns)
    with rc_context(STYLE):
        # Between these the label of the axis has room, and a screen has some for the picture.
        height = PANEL * float(np.clip(extent[1] / extent[0] if extent[0] else 1, 0.75, 1.2))
        figure = Figure((max(PANEL * columns, 7.0), (height + 0.3) * rows + 1.2))
        figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes in panels.flat[len(chosen) :]:
            axes.set_axis_off()
        for axes, anchor in zip(panels.flat, chosen, strict=False):
            _draw_panel(axes, projection, slots, negatives, anchor)
            number = anchor % slots.size(1)
            axes.set_title(f"anchor #{anchor}: {number + 1} {titles[number]}", fontsize=10)
        xlabel, ylabel = projection.axis_labels()
        for axes in panels[-1]:
            axes.set_xlabel(xlabel)
        for axes in panels[:, 0]:
            axes.set_ylabel(ylabel)
        handles, labels = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        figure.suptitle(
            f"{describe(graph)}: the synthetic negatives of some anchors,\n"
            "one of each other class; numbers are classes",
            fontsize=STYLE["axes.titlesize"],
        )
    return figure


def nearest_real(slots: Tensor, synthetic: Tensor) -> Tensor:
    """The sample of its own class that is nearest to each synthetic negative.

    Shapes: slots [P, S, D], synthetic [S, D] of one anchor → [S, D].
    """
    nearest = (slots - synthetic).norm(dim=-1).argmin(0)
    return slots[nearest, torch.arange(slots.size(1), device=slots.device)]


def _check_anchors(anchors: Sequence[int], size: int) -> list[int]:
    for anchor in anchors:
        if not 0 <= anchor < size:
            raise ValueError(f"Expected 'anchors' in [0, {size}) (got {anchor})")
    return list(anchors)


def _default_anchors(points: np.ndarray) -> list[int]:
    """Nodes at the middles of equal parts of the first component's order."""
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
    reals = as_array(projection(nearest_real(slots, made)))[others]
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
    """Join the images of a class to their centre, [P, S, 2], and number it."""
    centres = points.mean(axis=0)
    rays = np.stack([points, np.broadcast_to(centres, points.shape)], axis=2).reshape(-1, 2, 2)
    axes.add_collection(LineCollection(list(rays), colors="#bbbbbb", linewidths=0.7, zorder=1))
    # As large as two digits, so that no number hides another.
    extent = float(np.ptp(points.reshape(-1, 2), axis=0).max()) or 1.0
    places = spread(centres, (0.05 * extent, 0.035 * extent))
    for number, (x, y) in enumerate(places, start=1):
        text = axes.text(x, y, str(number), fontsize=8, ha="center", va="center", zorder=8)
        text.set_path_effects([withStroke(linewidth=2, foreground="white")])
