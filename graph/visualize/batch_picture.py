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
from matplotlib.patches import Patch, Rectangle
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph.visualize.batch import as_array, class_numbers, class_titles, describe, style_of
from gcahng.graph.visualize.learned import edge_weights
from gcahng.graph.visualize.projection import Projection, spread
from gcahng.graph.visualize.style import SAME_CLASS, SEQUENTIAL, border, ink, span

# Points: the border of a thumbnail.
BORDER = 1.8
# Inches: side of a thumbnail, gap between thumbnails, shortest and longest axis.
SIDE, GAP, SHORTEST, LONGEST = 0.36, 0.04, 5.4, 11.0
# Inches: title, labels and legends above and below the axes, and labels and colour bar beside them;
# height of a legend's line and width of a character in it.
ABOVE, BESIDE, LINE, CHARACTER = 2.0, 2.0, 0.175, 0.085
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
    titles = class_titles(graph, 28)
    with rc_context(style_of(graph)):
        figure, axes = _canvas(places, side, titles)
        lines = _draw_edges(axes, places, weights, edges, numbers)
        _draw_nodes(axes, graph.get("image"), places, side, numbers)
        _set_axes(axes, places, side, projection)
        label = meaning + span(*lines.get_clim())
        figure.colorbar(lines, ax=axes, label=label, shrink=0.6, aspect=25, pad=0.02)
        title = _title(graph, edges, min(strongest, _available(weights)), meaning)
        figure.suptitle(title)
        moved = bool(np.abs(places - points).max() > side / 2)
        notes = _notes(is_symmetric(weights), attends=layer is not None, moved=moved)
        _add_legends(figure, titles, notes)
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


def _canvas(places: np.ndarray, side: float, titles: list[str]) -> tuple[Figure, Axes]:
    """Create a figure in which a thumbnail has about its side; return it and its axes."""
    width, height = SIDE * (np.ptp(places, axis=0) / side + 2)
    width, height = max(width, 4.0) + BESIDE, max(height, 4.0)
    if len(titles) <= NAMED:
        width += 0.5 + CHARACTER * max(len(title) + 4 for title in titles)
        height = max(height, LINE * (len(titles) + 2))
    figure = Figure((width, height + ABOVE))
    return figure, figure.add_subplot()


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
    norm = Normalize(*((min(shown[0], shown[-1] - 1e-6), shown[-1]) if len(shown) else (0, 1)))
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
        segments, array=shown, cmap=SEQUENTIAL, norm=norm, linewidths=widths, zorder=2
    )
    axes.add_collection(halo)
    axes.add_collection(lines)
    if len(shown) and not is_symmetric(weights):
        length = np.maximum(np.linalg.norm(end - start, axis=1, keepdims=True), 1e-12)
        # Place triangles beyond the middle, so that both of a mutual pair are visible.
        at, along = start + 0.6 * (end - start), (end - start) / length
        axes.quiver(*at.T, *along.T, shown, cmap=SEQUENTIAL, norm=norm, **ARROW)
    return lines


def _draw_nodes(
    axes: Axes, images: Tensor | None, places: np.ndarray, side: float, numbers: Tensor
) -> None:
    for node, ((x, y), number) in enumerate(zip(places, numbers.tolist(), strict=True)):
        look, edge = border(number), 0.43 * side
        left, top, title = x - side / 2, y + side / 2, str(number + 1)
        # The line of the border is between the picture and the outline of the box.
        inset = (side / 2 - edge) / 2
        box = (left + inset, top - side + inset), side - 2 * inset, side - 2 * inset
        axes.add_patch(Rectangle(*box, **look, linewidth=BORDER, zorder=3))
        if images is None:
            colour = ink("#ffffff" if look["facecolor"] == "white" else look["facecolor"])
            axes.text(x, y, title, color=colour, ha="center", va="center", zorder=5)
            continue
        picture = images[node].permute(1, 2, 0).cpu().numpy()
        axes.imshow(picture, extent=(x - edge, x + edge, y - edge, y + edge), zorder=4)
        colour = look["edgecolor"]
        tag = {"facecolor": colour, "edgecolor": "none", "pad": 0.8}
        words: dict[str, Any] = {"color": ink(colour), "fontsize": 7, "bbox": tag, "zorder": 5}
        axes.text(left, top, title, va="top", **words)


def _title(graph: Data, edges: Tensor, strongest: int, meaning: str) -> str:
    how_many = "edge" if strongest == 1 else f"{strongest} edges"
    sender, receiver = class_numbers(graph)[edges]
    return (
        f"{describe(graph)}: for each node the {how_many} with the largest\n{meaning}; "
        f"{int((sender == receiver).sum())} of {edges.size(1)} edges join images of one class"
    )


def _notes(symmetric: bool, attends: bool, moved: bool) -> str:
    """Explain numbers, triangles and moved images."""
    notes = ["Numbers are classes."]
    if not symmetric:
        notes.append(f"Triangles point from i to j{', which attends' if attends else ''}.")
    if moved:
        notes.append("Images that would hide one another are moved apart.")
    return " ".join(notes)


def _add_legends(figure: Figure, titles: list[str], notes: str) -> None:
    """Add legends of the lines and, if there are few enough, of the classes."""
    orange = "two images of one class (orange border)"
    lines = [
        Line2D([], [], color=SAME_CLASS, linewidth=5, label=orange),
        Line2D([], [], color="#555555", linewidth=2, label="of two classes"),
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=2, title=notes, title_fontsize=9)
    if len(titles) <= NAMED:
        patches = [
            Patch(**border(number), label=f"{number + 1}  {title}")
            for number, title in enumerate(titles)
        ]
        figure.legend(handles=patches, loc="outside right upper", fontsize=8, handlelength=1)
