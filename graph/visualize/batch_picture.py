"""The batch as a graph: its images in the plane of the embeddings, joined by what was learned."""

from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph.visualize.batch import as_array, class_numbers, class_titles, describe
from gcahng.graph.visualize.learned import edge_weights
from gcahng.graph.visualize.projection import Projection
from gcahng.graph.visualize.spread import spread
from gcahng.graph.visualize.style import COLOURS, SEQUENTIAL, STYLE

# The strongest edges are the darkest: on white paper the pale end may fade.
EDGES, HALO = f"{SEQUENTIAL}_r", COLOURS[4]
# Of the frames, and of the numbers on them; none is like a halo.
FRAMES = (COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3], COLOURS[5], COLOURS[6])
INKS = ("white", "white", "white", "black", "black", "white")
# Inches: a thumbnail's side and the gap to the next, the shortest and the longest axis.
SIDE, GAP, SHORTEST, LONGEST = 0.36, 0.04, 5.4, 11.0
# Inches: what is around the axes, then a line and the width of the classes' legend.
LEFT, BOTTOM, TOP, RIGHT, LINE, LEGEND = 0.75, 1.2, 0.75, 1.5, 0.175, 2.75
# Inches: what the title takes.
NARROWEST = 9.4
# Of more classes than these the legend would be longer than the picture.
NAMED = 30
ARROW: dict[str, Any] = {
    # As long as its head alone, whatever the edge's length.
    **{"units": "inches", "angles": "xy", "pivot": "mid", "zorder": 2},
    **{"scale": 10, "width": 0.014, "headwidth": 7, "headlength": 7, "headaxislength": 7},
}


def draw_graph(
    graph: Data, *, layer: int | None = None, head: int | None = None, strongest: int = 3
) -> Figure:
    """Draw the images of a batch where their embeddings lie, and the strongest edges.

    Near images have near embeddings, as far as two principal components show it; images that would
    hide one another are moved apart a little. A dark, thick line is a large weight. Where weights
    have a direction, a triangle points to the node that attends.

    Args:
        graph: From `learned_graph`, best with `image` [B, 3, h, w] uint8 (without, nodes are boxes
            in the colours of their classes) and `name`; from `batch_graph` edges are correlations.
        layer: Whose attention to draw, from 1; None: the mean channel coefficient.
        head: Which of its heads, from 1; None: their mean.
        strongest: How many edges into each node, at least 1; the picture shows their union.

    Raises:
        ValueError: If there is no such layer, head or number of edges.
    """
    weights, meaning = edge_weights(graph, layer, head)
    weights = weights.detach().float().cpu()
    edges = strongest_edges(weights, strongest)
    projection = Projection.fit(graph.x)
    points = as_array(projection(graph.x))
    places, side = _places(points)
    numbers = class_numbers(graph)
    with rc_context(STYLE):
        figure, axes, bar = _canvas(places, side, len(numbers.unique()))
        lines = _draw_edges(axes, places, weights, edges, numbers)
        _draw_nodes(axes, graph.get("image"), places, side, numbers)
        low, high = places.min(axis=0) - side, places.max(axis=0) + side
        xlabel, ylabel = projection.axis_labels()
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel=xlabel, ylabel=ylabel)
        axes.set_aspect("equal")
        axes.grid(False)
        figure.colorbar(lines, cax=bar, label=meaning)
        bar.grid(False)
        how_many = "edge" if strongest == 1 else f"{strongest} edges"
        same = int((numbers[edges[0]] == numbers[edges[1]]).sum())
        figure.suptitle(
            f"{describe(graph)}: for each node the {how_many} with the largest {meaning};\n"
            f"{same} of {edges.size(1)} edges join images of one class",
            fontsize=STYLE["axes.titlesize"],
            x=LEFT / figure.get_figwidth(),
            ha="left",
        )
        notes = ["Numbers are classes."]
        if not is_symmetric(weights):
            notes.append(
                f"Triangles point from i to j{'' if layer is None else ', which attends'}."
            )
        if np.abs(places - points).max() > side / 2:
            notes.append("Images that would hide one another are moved apart.")
        across, up = figure.get_size_inches()
        figure.text(LEFT / across, 0.1 / up, " ".join(notes), fontsize=9)
        _legends(figure, axes, class_titles(graph, 28))
    return figure


def strongest_edges(weights: Tensor, strongest: int) -> Tensor:
    """The strongest edges into each node, self loops and masked edges (weight 0) left out.

    Shapes: weights [B, B], at [i, j] of the edge i → j → [2, E] senders and receivers; of symmetric
    weights each pair once, i < j.

    Raises:
        ValueError: If `strongest` is below 1.
    """
    if strongest < 1:
        raise ValueError(f"Expected 'strongest' of at least 1 (got {strongest})")
    size = weights.size(0)
    hidden = torch.eye(size, dtype=torch.bool) | (weights == 0) | ~weights.isfinite()
    values, senders = weights.masked_fill(hidden, -torch.inf).topk(min(strongest, size), dim=0)
    receivers = torch.arange(size).expand_as(senders)
    edges = torch.stack([senders, receivers])[:, values > -torch.inf]
    if is_symmetric(weights):
        edges = edges.sort(dim=0).values.unique(dim=1)
    return edges


def is_symmetric(weights: Tensor) -> bool:
    """Whether i → j and j → i weigh the same, to rounding."""
    return torch.allclose(weights, weights.T, rtol=1e-4, atol=1e-6, equal_nan=True)


def _places(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Where the nodes are drawn, and the side of a thumbnail in the same units."""
    # More nodes take a larger picture, not smaller thumbnails, until a screen is full.
    longest = min(max(1.9 * SIDE * np.sqrt(len(points)), SHORTEST), LONGEST)
    extent = float(np.ptp(points, axis=0).max()) or 1.0
    side = extent * SIDE / longest
    return spread(points, (side * (1 + GAP / SIDE),) * 2), side


def _canvas(places: np.ndarray, side: float, classes: int) -> tuple[Figure, Axes, Axes]:
    """A figure in which a thumbnail has its size in inches; its axes, and those of the bar."""
    named = classes <= NAMED
    width, height = SIDE * (np.ptp(places, axis=0) / side + 2)
    width, height = max(width, 4.0), max(height, 4.0, LINE * (classes + 2) * named)
    across = max(LEFT + width + RIGHT + LEGEND * named, NARROWEST)
    whole = np.array([across, BOTTOM + height + TOP] * 2)
    figure = Figure(tuple(whole[:2]))
    axes = figure.add_axes(tuple(np.array([LEFT, BOTTOM, width, height]) / whole))
    beside = [LEFT + width + 0.25, BOTTOM + 0.2 * height, 0.16, 0.6 * height]
    return figure, axes, figure.add_axes(tuple(np.array(beside) / whole))


def _draw_edges(
    axes: Axes, places: np.ndarray, weights: Tensor, edges: Tensor, numbers: Tensor
) -> LineCollection:
    values = weights[edges[0], edges[1]]
    # Weak edges first, so that strong ones lie on top.
    order = values.argsort(stable=True)
    edges, shown = edges[:, order], values[order].numpy()
    start, end = places[edges[0]], places[edges[1]]
    norm = Normalize(*((shown[0], max(shown[-1], shown[0] + 1e-6)) if len(shown) else (0, 1)))
    # Hundreds of lines as wide as ten would hide the pictures' places.
    widest = 2.0 * min(1.0, (60 / max(len(shown), 1)) ** 0.5)
    widths = 0.6 + widest * np.asarray(norm(shown))
    same = (numbers[edges[0]] == numbers[edges[1]]).numpy()
    segments = list(np.stack([start, end], axis=1))
    halo = LineCollection(
        [segment for segment, one in zip(segments, same, strict=True) if one],
        linewidths=widths[same] + 3.5,
        colors=HALO,
        zorder=1,
    )
    lines = LineCollection(
        segments, array=shown, cmap=EDGES, norm=norm, linewidths=widths, zorder=2
    )
    axes.add_collection(halo)
    axes.add_collection(lines)
    if len(shown) and not is_symmetric(weights):
        length = np.maximum(np.linalg.norm(end - start, axis=1, keepdims=True), 1e-12)
        # Beyond the middle: of a pair that attends to each other both triangles show.
        at, along = start + 0.6 * (end - start), (end - start) / length
        axes.quiver(*at.T, *along.T, shown, cmap=EDGES, norm=norm, **ARROW)
    return lines


def _draw_nodes(
    axes: Axes, images: Tensor | None, places: np.ndarray, side: float, numbers: Tensor
) -> None:
    for node, ((x, y), number) in enumerate(zip(places, numbers.tolist(), strict=True)):
        colour, ink = FRAMES[number % len(FRAMES)], INKS[number % len(INKS)]
        left, top, title = x - side / 2, y + side / 2, str(number + 1)
        axes.add_patch(Rectangle((left, top - side), side, side, color=colour, zorder=3))
        if images is None:
            axes.text(x, y, title, color=ink, ha="center", va="center", zorder=5)
            continue
        edge = 0.43 * side
        picture = images[node].permute(1, 2, 0).cpu().numpy()
        axes.imshow(picture, extent=(x - edge, x + edge, y - edge, y + edge), zorder=4)
        tag = {"facecolor": colour, "edgecolor": "none", "pad": 0.8}
        axes.text(left, top, title, color=ink, va="top", fontsize=7, bbox=tag, zorder=5)


def _legends(figure: Figure, axes: Axes, titles: list[str]) -> None:
    """Legends of the lines, and of the classes where there are few enough."""
    lines = [
        Line2D([], [], color=HALO, linewidth=5, label="two images of one class (orange border)"),
        Line2D([], [], color="#555555", linewidth=2, label="of two classes"),
    ]
    width, height = figure.get_size_inches()
    below = (LEFT / width, 0.3 / height)
    figure.legend(
        handles=lines, loc="lower left", bbox_to_anchor=below, ncols=2, borderpad=0, borderaxespad=0
    )
    if len(titles) > NAMED:
        return
    patches = [
        Patch(color=FRAMES[number % len(FRAMES)], label=f"{number + 1}  {title}")
        for number, title in enumerate(titles)
    ]
    corner = (1 - LEGEND / width, axes.get_position().y1)
    figure.legend(
        handles=patches, loc="upper left", bbox_to_anchor=corner, fontsize=8, handlelength=1
    )
