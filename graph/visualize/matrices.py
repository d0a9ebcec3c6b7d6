"""Figure of correlations, coefficients and attention of a batch as matrices."""

from math import ceil
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from torch_geometric.data import Data

from gcahng.graph.visualize.batch import (
    as_array,
    class_numbers,
    class_order,
    class_titles,
    describe,
    style_of,
)
from gcahng.graph.visualize.learned import CORRELATION, coefficient_title, edge_weights
from gcahng.graph.visualize.style import DIVERGING, SEQUENTIAL, span

# Inches: a matrix of the first row, a matrix of a head, margins of a row and of the figure.
LARGE, SMALL, AROUND, BESIDE = 3.6, 2.6, 0.8, 1.7
# Inches: the key of masked pairs.
KEY = 0.4
# Heads per row.
COLUMNS = 4
# Maximum number of classes with names along a matrix, and inches for the names.
NAMED, NAME = 10, 1.0
# Colour of masked pairs, which is not in the scale.
MASKED = "#d0d0d0"
# The colour scale ends at this quantile of the weights, so that rare high weights do not darken
# the rest.
SHOWN = 0.995


def draw_matrices(graph: Data) -> Figure:
    """Draw correlations, mean coefficients and the attention of each head as [B, B] matrices.

    Column i of row j is the weight of edge i → j, so a row of attention shows what image j attends
    to. Images are sorted by class, with lines between classes, so diagonal blocks are pairs of the
    same class; if the layer masks these, they are grey. The heads of a layer share a colour scale,
    which is clipped at the 99.5 % quantile. Missing attributes are omitted: a graph from
    `batch_graph` has correlations only, and layers without attention have no row.

    Args:
        graph: From `learned_graph`; up to ten classes are named along the matrices.

    Example:
        >>> import torch
        >>> from gcahng.graph import batch_graph
        >>> graph = batch_graph(torch.randn(6, 8), labels=torch.tensor([0, 1, 2, 0, 1, 2]))
        >>> figure = draw_matrices(graph)
        >>> figure.axes[0].get_title(), figure.get_suptitle()
        ('Pearson correlation of the embeddings', '3 classes × 2 images, class by class')
    """
    summaries = [(CORRELATION, as_array(graph.edge_attr.sum(-1)).reshape(graph.num_nodes, -1))]
    if graph.get("coefficients") is not None:
        summaries.append((coefficient_title(graph), _weights(graph)))
    layers = {
        layer: [_weights(graph, layer, head + 1) for head in range(weights.size(1))]
        for layer, weights in enumerate(graph.get("attention") or [], start=1)
        if weights is not None
    }
    rows = {layer: ceil(len(heads) / COLUMNS) for layer, heads in layers.items()}
    name = NAME * (len(class_titles(graph)) <= NAMED)
    heights = [
        LARGE + AROUND + name,
        *(count * (SMALL + 0.2) + AROUND + KEY for count in rows.values()),
    ]
    columns = max((min(len(heads), COLUMNS) for heads in layers.values()), default=0)
    width = max(len(summaries) * (LARGE + 1 + name), columns * SMALL + name) + BESIDE
    with rc_context(style_of(graph) | {"axes.grid": False, "axes.titlesize": 10}):
        figure = Figure((width, sum(heights) + 0.4))
        figure.suptitle(f"{describe(graph)}, class by class")
        first, *others = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[
            :, 0
        ]
        _draw_summaries(first, graph, summaries)
        for part, (layer, heads) in zip(others, layers.items(), strict=True):
            _draw_heads(part, graph, layer, heads)
    return figure


def _weights(graph: Data, layer: int | None = None, head: int | None = None) -> np.ndarray:
    """Weights [B, B], at [j, i] that of edge i → j."""
    return as_array(edge_weights(graph, layer, head)[0]).T


def _draw_summaries(part: SubFigure, graph: Data, summaries: list[tuple[str, np.ndarray]]) -> None:
    panels = part.subplots(1, len(summaries), squeeze=False)[0]
    for axes, (title, values) in zip(panels, summaries, strict=True):
        # Correlations have a sign: centre the diverging colour map at 0.
        reach = float(np.abs(values).max()) or 1.0
        scale = (-reach, reach) if title == CORRELATION else (values.min(), values.max())
        colours = DIVERGING if title == CORRELATION else SEQUENTIAL
        image = _draw_matrix(axes, graph, values, scale, colours)
        axes.set(title=title + span(*scale), xlabel="image i", ylabel="image j")
        part.colorbar(image, ax=axes, shrink=0.8, pad=0.02)


def _draw_heads(part: SubFigure, graph: Data, layer: int, heads: list[np.ndarray]) -> None:
    columns = min(len(heads), COLUMNS)
    panels = part.subplots(ceil(len(heads) / columns), columns, squeeze=False)
    numbers = class_numbers(graph).numpy()
    same = numbers[:, None] == numbers
    masked = all(not values[same].any() for values in heads)
    top = float(np.quantile(np.stack(heads), SHOWN))
    scale = (0.0, top or 1.0)
    for axes in panels.flat[len(heads) :]:
        axes.set_axis_off()
    for head, values in enumerate(heads):
        axes = panels.flat[head]
        shown = np.ma.masked_array(values, same & masked)
        image = _draw_matrix(axes, graph, shown, scale, SEQUENTIAL)
        axes.set(title=f"head {head + 1}", xlabel="image i (attended to)")
        # Class names appear once per row; columns have the same order.
        axes.set_xticks([])
        if head % columns:
            axes.set_yticks([])
        else:
            axes.set_ylabel("image j (attends)")
    part.colorbar(image, ax=panels, shrink=0.8, extend="max")
    title = f"attention of layer {layer}: row j shows what image j attends to{span(*scale)}"
    part.suptitle(title)
    if masked:
        key = Patch(color=MASKED, label="masked: pairs of one class")
        part.legend(handles=[key], loc="outside lower left")


def _draw_matrix(
    axes: Axes, graph: Data, values: np.ndarray, scale: tuple[float, float], colours: str
) -> AxesImage:
    """Draw a [B, B] matrix sorted by class, with lines between classes and names if they fit."""
    order = class_order(graph).numpy()
    palette = colormaps[colours].with_extremes(bad=MASKED)
    image = axes.imshow(values[np.ix_(order, order)], cmap=palette, vmin=scale[0], vmax=scale[1])
    sizes = class_numbers(graph).bincount().numpy()
    ends = sizes.cumsum()
    borders, size = ends[:-1] - 0.5, len(values)
    style: dict[str, Any] = {
        "colors": "white" if colours == SEQUENTIAL else "black",
        "linewidth": 6 / (size + 6),
    }
    axes.hlines(borders, -0.5, size - 0.5, **style)
    axes.vlines(borders, -0.5, size - 0.5, **style)
    if len(sizes) <= NAMED:
        middles, titles = ends - (sizes + 1) / 2, class_titles(graph, 14)
        axes.set_xticks(middles, titles, rotation=90, fontsize=8)
        axes.set_yticks(middles, titles, fontsize=8)
        axes.tick_params(length=0)
    else:
        axes.set(xticks=[], yticks=[])
    return image
