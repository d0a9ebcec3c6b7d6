"""Figure of the batch graph: images in the principal plane and their strongest edges."""

from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Patch
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph.visualize.learned import (
    as_array,
    class_numbers,
    class_titles,
    describe,
    edge_weights,
)
from gcahng.graph.visualize.projection import Projection, spread
from gcahng.graph.visualize.style import CLASSES, SAME_CLASS, SEQUENTIAL, STYLE, ink

# Inches: side of a node, and shortest and longest side of the axes.
SIDE, SHORTEST, LONGEST = 0.42, 5.4, 11.0
# With more classes, the legend would be longer than the figure, so it is omitted.
NAMED = 30


def draw_graph(graph: Data, *, strongest: int = 3) -> Figure:
    r"""Draw the images of a batch at their projected embeddings, with the strongest edges.

    Positions are principal components; overlapping images are moved apart. Dark, thick lines are
    large weights: mean channel coefficients, or correlations where a graph has none.

    Args:
        graph: From `learned_graph` or `batch_graph`. Nodes are drawn as `image` [B, 3, h, w] uint8
            if present.
        strongest: Number of edges into each node, at least 1; the figure shows their union.

    Example:
        >>> from gcahng.graph import batch_graph
        >>> graph = batch_graph(torch.randn(4, 8), labels=torch.tensor([0, 1, 0, 1]))
        >>> draw_graph(graph, strongest=1).get_suptitle()
        '2 classes × 2 images: the strongest edge into each node by\nPearson correlation ...'
    """
    weights, meaning = edge_weights(graph)
    weights = weights.detach().float().cpu()
    edges = strongest_edges(weights, strongest)
    projection = Projection.fit(graph.x)
    points = as_array(projection(graph.x))
    inches = float(np.clip(0.75 * len(points) ** 0.5, SHORTEST, LONGEST))
    side = SIDE / inches * (float(np.ptp(points, axis=0).max()) or 1.0)
    places = spread(points, side)
    numbers, titles = class_numbers(graph), class_titles(graph, 28)
    with rc_context(STYLE):
        figure = Figure((inches + 4, max(inches + 1.5, 0.2 * len(titles[: NAMED + 1]))))
        axes = figure.add_subplot()
        lines = _draw_edges(axes, places, weights, edges, numbers)
        _draw_nodes(axes, graph.get("image"), places, numbers)
        axes.update_datalim(np.concatenate([places - side, places + side]))
        axes.autoscale_view()
        axes.set_aspect("equal", adjustable="datalim")
        axes.grid(False)
        xlabel, ylabel = projection.axis_labels()
        axes.set(xlabel=xlabel, ylabel=ylabel)
        figure.colorbar(lines, ax=axes, label=meaning, shrink=0.6, aspect=25, pad=0.02)
        how_many = "the strongest edge" if strongest == 1 else f"the {strongest} strongest edges"
        same = int((numbers[edges[0]] == numbers[edges[1]]).sum())
        figure.suptitle(
            f"{describe(graph)}: {how_many} into each node by\n{meaning}; "
            f"{same} of {edges.size(1)} edges join images of one class"
        )
        _add_legends(figure, titles)
    return figure


def strongest_edges(weights: Tensor, strongest: int) -> Tensor:
    """Select the strongest edges into each node, without self loops and masked edges (weight 0).

    Shapes: symmetric weights [B, B] → [2, E], each pair once with i < j.
    """
    if strongest < 1:
        raise ValueError(f"Expected 'strongest' of at least 1 (got {strongest})")
    size = weights.size(0)
    hidden = torch.eye(size, dtype=torch.bool) | (weights == 0) | ~weights.isfinite()
    values, senders = weights.masked_fill(hidden, -torch.inf).topk(min(strongest, size), dim=0)
    receivers = torch.arange(size).expand_as(senders)
    edges = torch.stack([senders, receivers])[:, values > -torch.inf]
    return edges.sort(dim=0).values.unique(dim=1)


def _draw_edges(
    axes: Axes, places: np.ndarray, weights: Tensor, edges: Tensor, numbers: Tensor
) -> LineCollection:
    # Draw weak edges first, so that strong ones are on top.
    edges = edges[:, weights[edges[0], edges[1]].argsort(stable=True)]
    shown = weights[edges[0], edges[1]].numpy()
    norm = Normalize(*((min(shown[0], shown[-1] - 1e-6), shown[-1]) if len(shown) else (0, 1)))
    # Use thinner lines if there are many.
    widths = 0.6 + 2.0 * min(1.0, (60 / max(len(shown), 1)) ** 0.5) * np.asarray(norm(shown))
    same = (numbers[edges[0]] == numbers[edges[1]]).numpy()
    segments = np.stack([places[edges[0]], places[edges[1]]], axis=1)
    axes.add_collection(
        LineCollection(
            list(segments[same]), linewidths=widths[same] + 3.5, colors=SAME_CLASS, zorder=1
        )
    )
    lines = LineCollection(
        list(segments), array=shown, cmap=SEQUENTIAL, norm=norm, linewidths=widths, zorder=2
    )
    axes.add_collection(lines)
    return lines


def _draw_nodes(axes: Axes, images: Tensor | None, places: np.ndarray, numbers: Tensor) -> None:
    for node, (place, number) in enumerate(zip(places, numbers.tolist(), strict=True)):
        colour = CLASSES[number % len(CLASSES)]
        words: dict[str, Any] = {
            "bbox": {"facecolor": colour, "edgecolor": "none", "pad": 1},
            **{"color": ink(colour), "fontsize": 7, "zorder": 5},
        }
        if images is None:
            axes.text(place[0], place[1], str(number + 1), ha="center", va="center", **words)
            continue
        picture = images[node].permute(1, 2, 0).cpu().numpy()
        thumbnail = OffsetImage(picture, zoom=72 * (SIDE - 0.08) / max(picture.shape[:2]))
        frame = {"edgecolor": colour, "linewidth": 1.8, "boxstyle": "square,pad=0.05"}
        axes.add_artist(AnnotationBbox(thumbnail, tuple(place), pad=0, bboxprops=frame, zorder=4))
        corner = 36 * (SIDE - 0.08)
        words |= {"textcoords": "offset points", "va": "top"}
        axes.annotate(str(number + 1), tuple(place), (-corner, corner), **words)


def _add_legends(figure: Figure, titles: list[str]) -> None:
    """Add legends of the lines and, if there are few enough, of the classes."""
    notes = "Numbers are classes; images that would hide one another are moved apart."
    lines = [
        Line2D([], [], color=SAME_CLASS, linewidth=5, label="two images of one class (orange)"),
        Line2D([], [], color="#555555", linewidth=2, label="of two classes"),
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=2, title=notes, title_fontsize=9)
    if len(titles) <= NAMED:
        patches = [
            Patch(color=CLASSES[number % len(CLASSES)], label=f"{number + 1}  {title}")
            for number, title in enumerate(titles)
        ]
        figure.legend(handles=patches, loc="outside right upper", fontsize=8, handlelength=1)
