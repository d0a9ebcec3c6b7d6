"""Figure of the batch graph: images in the principal plane and their strongest edges."""

from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.transforms import Bbox
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph.visualize.batch import as_array, class_numbers, class_titles, describe
from gcahng.graph.visualize.fonts import style_of
from gcahng.graph.visualize.learned import edge_weights
from gcahng.graph.visualize.projection import Projection
from gcahng.graph.visualize.spread import spread
from gcahng.graph.visualize.style import CLASSES, SAME_CLASS, SEQUENTIAL, STYLE, ink

# The strongest edges are the darkest, since pale lines fade on white.
EDGES = f"{SEQUENTIAL}_r"
# Inches: side of a thumbnail, gap between thumbnails, shortest and longest axis.
SIDE, GAP, SHORTEST, LONGEST = 0.36, 0.04, 5.4, 11.0
# Inches: margins of the axes below and above, around everything, and height of a legend's line.
BOTTOM, TOP, PAD, LINE = 1.2, 0.75, 0.15, 0.175
# Inches: room at the left and right of the axes until their labels are measured.
AMPLE = 4.0
# With more classes, the legend would be longer than the figure, so it is omitted.
NAMED = 30
ARROW: dict[str, Any] = {
    # Arrow heads of fixed size without a shaft.
    **{"units": "inches", "angles": "xy", "pivot": "mid", "zorder": 2},
    **{"scale": 10, "width": 0.014, "headwidth": 7, "headlength": 7, "headaxislength": 7},
}


def draw_graph(
    graph: Data, *, layer: int | None = None, head: int | None = None, strongest: int = 3
) -> Figure:
    r"""Draw the images of a batch at their projected embeddings, with the strongest edges.

    Positions are principal components; overlapping images are moved apart. Dark, thick lines are
    large weights. For asymmetric weights, a triangle points to the node that attends.

    Args:
        graph: From `learned_graph`, or `batch_graph` to draw correlations. Nodes are drawn as
            `image` [B, 3, h, w] uint8 if present, else as boxes in class colours.
        layer: Layer, from 1, whose attention to draw; None: the mean channel coefficient.
        head: Head of the layer, from 1; None: mean over heads.
        strongest: Number of edges into each node, at least 1; the figure shows their union.

    Raises:
        ValueError: If there is no such layer or head, or `strongest` is below 1.

    Example:
        >>> from gcahng.graph import batch_graph
        >>> graph = batch_graph(torch.randn(4, 8), labels=torch.tensor([0, 1, 0, 1]))
        >>> draw_graph(graph, strongest=1).get_suptitle()
        '2 classes × 2 images: for each node the edge with the largest\nPearson correlation ...'
    """
    weights, meaning = edge_weights(graph, layer, head)
    weights = weights.detach().float().cpu()
    edges = strongest_edges(weights, strongest)
    projection = Projection.fit(graph.x)
    points = as_array(projection(graph.x))
    places, side = _places(points)
    numbers = class_numbers(graph)
    with rc_context(style_of(graph)):
        figure, axes, bar = _canvas(places, side, len(numbers.unique()))
        lines = _draw_edges(axes, places, weights, edges, numbers)
        _draw_nodes(axes, graph.get("image"), places, side, numbers)
        _set_axes(axes, places, side, projection)
        figure.colorbar(lines, cax=bar, label=meaning)
        bar.grid(False)
        title = _title(graph, edges, min(strongest, _available(weights)), meaning)
        figure.suptitle(title, fontsize=STYLE["axes.titlesize"], ha="left")
        moved = bool(np.abs(places - points).max() > side / 2)
        _add_notes(figure, is_symmetric(weights), attends=layer is not None, moved=moved)
        _arrange(figure, axes, bar, _legends(figure, class_titles(graph, 28)))
    return figure


def strongest_edges(weights: Tensor, strongest: int) -> Tensor:
    """Select the strongest edges into each node, without self loops and masked edges (weight 0).

    Shapes: weights [B, B], at [i, j] that of edge i → j → senders and receivers [2, E]; for
    symmetric weights, each pair once with i < j.

    Raises:
        ValueError: If `strongest` is below 1.
    """
    if strongest < 1:
        raise ValueError(f"Expected 'strongest' of at least 1 (got {strongest})")
    size, hidden = weights.size(0), _hidden(weights)
    values, senders = weights.masked_fill(hidden, -torch.inf).topk(min(strongest, size), dim=0)
    receivers = torch.arange(size).expand_as(senders)
    edges = torch.stack([senders, receivers])[:, values > -torch.inf]
    if is_symmetric(weights):
        edges = edges.sort(dim=0).values.unique(dim=1)
    return edges


def _hidden(weights: Tensor) -> Tensor:
    """True for self loops and masked edges, which are never drawn."""
    loops = torch.eye(weights.size(0), dtype=torch.bool)
    return loops | (weights == 0) | ~weights.isfinite()


def _available(weights: Tensor) -> int:
    """Number of edges into the node that has most."""
    return int((~_hidden(weights)).sum(0).max())


def is_symmetric(weights: Tensor) -> bool:
    """True if the weights of i → j and j → i are equal up to rounding."""
    return torch.allclose(weights, weights.T, rtol=1e-4, atol=1e-6, equal_nan=True)


def _places(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Positions of the nodes without overlaps, and the side of a thumbnail in the same units."""
    # More nodes enlarge the figure instead of shrinking thumbnails, up to the size of a screen.
    longest = min(max(1.9 * SIDE * np.sqrt(len(points)), SHORTEST), LONGEST)
    extent = float(np.ptp(points, axis=0).max()) or 1.0
    side = extent * SIDE / longest
    return spread(points, (side * (1 + GAP / SIDE),) * 2), side


def _canvas(places: np.ndarray, side: float, classes: int) -> tuple[Figure, Axes, Axes]:
    """Create a figure with thumbnails of fixed size; return it, its axes and the bar's axes.

    Margins at the left and right are ample; `_arrange` makes them fit.
    """
    named = classes <= NAMED
    width, height = SIDE * (np.ptp(places, axis=0) / side + 2)
    width, height = max(width, 4.0), max(height, 4.0, LINE * (classes + 2) * named)
    whole = np.array([AMPLE + width + AMPLE, BOTTOM + height + TOP] * 2)
    figure = Figure(tuple(whole[:2]))
    axes = figure.add_axes(tuple(np.array([AMPLE, BOTTOM, width, height]) / whole))
    beside = [AMPLE + width + 0.25, BOTTOM + 0.2 * height, 0.16, 0.6 * height]
    return figure, axes, figure.add_axes(tuple(np.array(beside) / whole))


def _set_axes(axes: Axes, places: np.ndarray, side: float, projection: Projection) -> None:
    low, high = places.min(axis=0) - side, places.max(axis=0) + side
    xlabel, ylabel = projection.axis_labels()
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel=xlabel, ylabel=ylabel)
    axes.set_aspect("equal")
    axes.grid(False)


def _draw_edges(
    axes: Axes, places: np.ndarray, weights: Tensor, edges: Tensor, numbers: Tensor
) -> LineCollection:
    values = weights[edges[0], edges[1]]
    # Draw weak edges first, so that strong ones are on top.
    order = values.argsort(stable=True)
    edges, shown = edges[:, order], values[order].numpy()
    start, end = places[edges[0]], places[edges[1]]
    norm = Normalize(*((shown[0], max(shown[-1], shown[0] + 1e-6)) if len(shown) else (0, 1)))
    # Use thinner lines if there are many.
    widest = 2.0 * min(1.0, (60 / max(len(shown), 1)) ** 0.5)
    widths = 0.6 + widest * np.asarray(norm(shown))
    same = (numbers[edges[0]] == numbers[edges[1]]).numpy()
    segments = list(np.stack([start, end], axis=1))
    halo = LineCollection(
        [segment for segment, one in zip(segments, same, strict=True) if one],
        linewidths=widths[same] + 3.5,
        colors=SAME_CLASS,
        zorder=1,
    )
    lines = LineCollection(
        segments, array=shown, cmap=EDGES, norm=norm, linewidths=widths, zorder=2
    )
    axes.add_collection(halo)
    axes.add_collection(lines)
    if len(shown) and not is_symmetric(weights):
        length = np.maximum(np.linalg.norm(end - start, axis=1, keepdims=True), 1e-12)
        # Place triangles beyond the middle, so that both of a mutual pair are visible.
        at, along = start + 0.6 * (end - start), (end - start) / length
        axes.quiver(*at.T, *along.T, shown, cmap=EDGES, norm=norm, **ARROW)
    return lines


def _draw_nodes(
    axes: Axes, images: Tensor | None, places: np.ndarray, side: float, numbers: Tensor
) -> None:
    for node, ((x, y), number) in enumerate(zip(places, numbers.tolist(), strict=True)):
        colour = CLASSES[number % len(CLASSES)]
        left, top, title = x - side / 2, y + side / 2, str(number + 1)
        axes.add_patch(Rectangle((left, top - side), side, side, color=colour, zorder=3))
        if images is None:
            axes.text(x, y, title, color=ink(colour), ha="center", va="center", zorder=5)
            continue
        edge = 0.43 * side
        picture = images[node].permute(1, 2, 0).cpu().numpy()
        axes.imshow(picture, extent=(x - edge, x + edge, y - edge, y + edge), zorder=4)
        tag = {"facecolor": colour, "edgecolor": "none", "pad": 0.8}
        look: dict[str, Any] = {"color": ink(colour), "fontsize": 7, "bbox": tag, "zorder": 5}
        axes.text(left, top, title, va="top", **look)


def _title(graph: Data, edges: Tensor, strongest: int, meaning: str) -> str:
    how_many = "edge" if strongest == 1 else f"{strongest} edges"
    sender, receiver = class_numbers(graph)[edges]
    return (
        f"{describe(graph)}: for each node the {how_many} with the largest\n{meaning}; "
        f"{int((sender == receiver).sum())} of {edges.size(1)} edges join images of one class"
    )


def _add_notes(figure: Figure, symmetric: bool, attends: bool, moved: bool) -> None:
    """Explain numbers, triangles and moved images in the bottom line."""
    notes = ["Numbers are classes."]
    if not symmetric:
        notes.append(f"Triangles point from i to j{', which attends' if attends else ''}.")
    if moved:
        notes.append("Images that would hide one another are moved apart.")
    figure.text(0, 0.1 / figure.get_figheight(), " ".join(notes), fontsize=9)


def _legends(figure: Figure, titles: list[str]) -> list[Legend]:
    """Add legends of the lines and, if there are few enough, of the classes."""
    orange = "two images of one class (orange border)"
    lines = [
        Line2D([], [], color=SAME_CLASS, linewidth=5, label=orange),
        Line2D([], [], color="#555555", linewidth=2, label="of two classes"),
    ]
    tight: dict[str, Any] = {"borderpad": 0, "borderaxespad": 0}
    legends = [figure.legend(handles=lines, loc="lower left", ncols=2, **tight)]
    if len(titles) <= NAMED:
        patches = [
            Patch(color=CLASSES[number % len(CLASSES)], label=f"{number + 1}  {title}")
            for number, title in enumerate(titles)
        ]
        look: dict[str, Any] = {"fontsize": 8, "handlelength": 1, **tight}
        legends.append(figure.legend(handles=patches, loc="upper left", **look))
    return legends


def _box(axis: Axis) -> Bbox:
    """Pixels that the numbers and the label of an axis take."""
    box = axis.get_tightbbox()
    assert box is not None
    return box


def _arrange(figure: Figure, axes: Axes, bar: Axes, legends: list[Legend]) -> None:
    """Give labels and legends at the left and right the room they need, but no more."""
    figure.draw_without_rendering()
    dpi, height = figure.dpi, figure.get_figheight()
    size = np.array([*figure.get_size_inches()] * 2)
    boxes = [np.array(part.get_position(original=True).bounds) * size for part in (axes, bar)]
    # Inches: edges of the labels, then of the whole.
    left = boxes[0][0] - _box(axes.yaxis).x0 / dpi + PAD
    end = _box(bar.yaxis).x1 / dpi - boxes[0][0] + left
    beside = end + 2 * PAD
    below = [*figure.texts, legends[0]]
    ends = [end, *(left + part.get_window_extent().width / dpi for part in below)]
    ends += [beside + legend.get_window_extent().width / dpi for legend in legends[1:]]
    width = max(ends) + PAD
    shift = np.array([left - boxes[0][0], 0, 0, 0])
    figure.set_size_inches(width, height)
    for part, box in zip((axes, bar), boxes, strict=True):
        part.set_position(tuple((box + shift) / np.array([width, height] * 2)))
    for text in figure.texts:
        text.set_x(left / width)
    legends[0].set_bbox_to_anchor((left / width, 0.3 / height))
    for legend in legends[1:]:
        legend.set_bbox_to_anchor((beside / width, 1 - TOP / height))
