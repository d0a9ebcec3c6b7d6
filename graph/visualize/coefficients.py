"""Figure of the channel coefficients η: by pair and channel, and by kind of pair."""

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph.visualize.learned import (
    as_array,
    class_numbers,
    class_titles,
    describe,
    require,
    saturation,
)
from gcahng.graph.visualize.style import COLOURS, SEQUENTIAL, STYLE

# Pairs of each kind.
CHOSEN = 4
BINS = 25


def draw_coefficients(graph: Data) -> Figure:
    """Draw η of some pairs by channel, and the distribution of η.

    η near 1 keeps a channel of the negative, η near 0 moves it towards the anchor. Shown are up to
    four pairs of the same class, and the four most and four least correlated pairs of different
    classes. Channels are sorted by their variance over these pairs, largest on top; a row of one
    colour is a channel with the same coefficient for all pairs.

    Args:
        graph: From `learned_graph`, with `coefficients` [B², D].

    Example:
        >>> from gcahng.graph import CorrelationNetwork, batch_graph
        >>> from gcahng.graph.visualize import learned_graph
        >>> batch = batch_graph(torch.randn(6, 8), labels=torch.tensor([0, 1, 2, 0, 1, 2]))
        >>> graph = learned_graph(CorrelationNetwork(8, num_classes=3, layers=1, heads=2), batch)
        >>> draw_coefficients(graph).get_suptitle()
        'Channel coefficients η of 3 classes × 2 images: ...'
    """
    size = graph.num_nodes
    coefficients = require(graph, "coefficients").detach().view(size, size, -1).float().cpu()
    with rc_context(STYLE):
        figure = Figure((12.5, 7))
        left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
        _draw_pairs(left, graph, coefficients)
        _draw_distribution(right, graph, coefficients)
        title = (
            f"Channel coefficients η of {describe(graph)}: 1 keeps a channel of the negative, "
            "0 pulls it towards the anchor"
        )
        figure.suptitle("\n".join(filter(None, (title, saturation(graph)))))
    return figure


def chosen_pairs(graph: Data) -> dict[str, list[tuple[int, int]]]:
    """Pairs i < j by kind: same class, and most and least correlated of different classes."""
    numbers = class_numbers(graph)
    size = len(numbers)
    row, column = torch.triu_indices(size, size, offset=1)
    same = numbers[row] == numbers[column]
    correlation = graph.edge_attr.detach().sum(-1).cpu().view(size, size)[row, column]

    def by_correlation(members: Tensor, descending: bool) -> list[tuple[int, int]]:
        order = correlation[members].argsort(descending=descending, stable=True)[:CHOSEN]
        found = members.nonzero().flatten()[order]
        return list(zip(row[found].tolist(), column[found].tolist(), strict=True))

    groups = {
        "one class": by_correlation(same, True),
        "two classes,\nmost similar": by_correlation(~same, True),
        "two classes,\nleast similar": by_correlation(~same, False)[::-1],
    }
    return {kind: pairs for kind, pairs in groups.items() if pairs}


def _draw_pairs(axes: Axes, graph: Data, coefficients: Tensor) -> None:
    groups = chosen_pairs(graph)
    pairs = [pair for group in groups.values() for pair in group]
    first, second = torch.tensor(pairs).T
    values = as_array(coefficients[first, second]).T
    values = values[np.argsort(-values.var(axis=1), kind="stable")]
    image = axes.imshow(values, aspect="auto", cmap=SEQUENTIAL, vmin=0, vmax=1)
    start = 0
    for kind, group in groups.items():
        if start:
            axes.axvline(start - 0.5, color="white", linewidth=3)
        middle, at = start + (len(group) - 1) / 2, axes.get_xaxis_transform()
        axes.text(middle, 1.01, kind, transform=at, ha="center", va="bottom", fontsize=9)
        start += len(group)
    titles, numbers = class_titles(graph, 16), class_numbers(graph).tolist()
    labels = [" – ".join(f"{titles[numbers[node]]} #{node}" for node in pair) for pair in pairs]
    axes.set_xticks(range(len(pairs)), labels, rotation=60, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", labelsize=8)
    axes.set(xlabel="pairs: class and number of the node", yticks=[])
    axes.set_ylabel(f"{len(values)} channels, the most varied on top")
    axes.grid(False)
    axes.figure.colorbar(image, ax=axes, label="coefficient η", shrink=0.8, pad=0.02)


def _draw_distribution(axes: Axes, graph: Data, coefficients: Tensor) -> None:
    numbers = class_numbers(graph)
    same = numbers[:, None] == numbers
    distinct = ~torch.eye(len(numbers), dtype=torch.bool)
    edges = np.linspace(0, 1, BINS + 1)
    kinds = (("one class", same & distinct, "-"), ("two classes", ~same, "--"))
    for number, (kind, members, dash) in enumerate(kinds):
        if members.any():
            counts = coefficients[members].histc(BINS, 0, 1)
            share = (100 * counts / counts.sum()).numpy()
            label = f"{kind}, mean {float(coefficients[members].mean()):.2f}"
            colour = COLOURS[number]
            axes.stairs(share, edges, color=colour, linestyle=dash, linewidth=1.8, label=label)
    axes.set(xlabel="coefficient η", ylabel="share of all channels [%]", xlim=(0, 1))
    axes.set_title("All pairs and channels", pad=22)
    # Above the axes, since the curves may be anywhere.
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 0.98), ncols=2)
