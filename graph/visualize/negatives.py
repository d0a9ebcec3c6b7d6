"""Figure of the synthetic negatives among the real embeddings."""

from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph.visualize.learned import as_array, class_slots, class_titles, describe, require
from gcahng.graph.visualize.projection import Projection
from gcahng.graph.visualize.style import COLOURS, STYLE

ANCHORS, PANEL = 3, 4.6
ANCHOR, POSITIVE, SYNTHETIC, REAL = COLOURS[6], COLOURS[2], COLOURS[1], COLOURS[0]


def draw_negatives(graph: Data) -> Figure:
    """Draw the synthetic negatives of three anchors among the real embeddings, one panel each.

    The anchors are spread along the first principal component of the real embeddings, in whose
    principal plane all is drawn. A line goes from the anchor to each synthetic negative, one per
    other class, and on to the nearest real image of that class; a short first segment is a hard
    negative. Grey rays join the images of a class.

    Args:
        graph: With slot-major nodes and `negatives` [P, S, S, D].

    Example:
        >>> from gcahng.graph import batch_graph
        >>> graph = batch_graph(torch.randn(4, 8), labels=torch.tensor([0, 1, 0, 1]))
        >>> anchors, others = graph.x.view(2, 2, 1, 8), graph.x.view(2, 1, 2, 8)
        >>> graph.negatives = (anchors + others) / 2
        >>> draw_negatives(graph).axes[0].get_title()
        'anchor #... (class ...)'
    """
    negatives = require(graph, "negatives").detach()
    slots = class_slots(graph)
    projection = Projection.fit(graph.x)
    points = as_array(projection(graph.x))
    chosen = chosen_anchors(points)
    titles = class_titles(graph, 28)
    with rc_context(STYLE):
        xlabel, ylabel = projection.axis_labels()
        figure = Figure((max(PANEL * len(chosen), 7.0), PANEL + 1.5))
        panels = figure.subplots(1, len(chosen), squeeze=False, sharex=True, sharey=True)[0]
        for axes, anchor in zip(panels, chosen, strict=True):
            _draw_panel(axes, projection, slots, negatives, anchor)
            axes.set_title(f"anchor #{anchor} ({titles[anchor % slots.size(1)]})", fontsize=10)
            axes.set_xlabel(xlabel)
        panels[0].set_ylabel(ylabel)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        figure.suptitle(
            f"{describe(graph)}: the synthetic negatives of some anchors,\n"
            "one of each other class; grey rays join the images of a class"
        )
    return figure


def chosen_anchors(points: np.ndarray) -> list[int]:
    """Up to three nodes at evenly spaced ranks of the first principal component."""
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
    # Rays from the images of each class to its centre.
    rays = np.stack([points, np.broadcast_to(points.mean(0), points.shape)], axis=2)
    grey: dict[str, Any] = {"colors": "#bbbbbb", "linewidths": 0.7, "zorder": 1}
    axes.add_collection(LineCollection(list(rays.reshape(-1, 2, 2)), **grey))
    ways = {
        ("-", "from anchor to synthetic negative"): [(start, end) for end in ends],
        (":", "on to the nearest real image of that class"): list(zip(ends, reals, strict=True)),
    }
    thin: dict[str, Any] = {"colors": SYNTHETIC, "linewidths": 0.8, "zorder": 2}
    for (dash, label), way in ways.items():
        axes.add_collection(LineCollection(way, linestyles=dash, label=label, **thin))
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
