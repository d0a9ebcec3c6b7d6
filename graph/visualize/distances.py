"""Figure of the distances of positives and negatives to their anchors in one batch."""

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
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
