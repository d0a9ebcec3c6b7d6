"""A batch graph as one self-contained interactive HTML page."""

import json
from collections.abc import Mapping
from copy import copy
from pathlib import Path

import torch
from markupsafe import Markup
from torch_geometric.data import Data

from gcahng.graph.batch_graph import check_batch_graph
from gcahng.graph.visualize.page_data import page_data
from gcahng.pages import fill_template

ASSETS = Path(__file__).parent / "templates"
# Coefficients of i → j and j → i that differ by at most this count as equal.
ROUNDING = 1e-4
SCRIPTS = ("data", "places", "drawing", "cards", "pointing", "controls")


@torch.no_grad()
def graph_page(graph: Data, *, title: str = "Batch graph", links: Mapping[str, str] = {}) -> str:
    """Draw a batch graph as a self-contained page to explore images, pairs and coefficients.

    The page needs no network. Coefficients that differ between i → j and j → i, which layers of
    this project never produce, are shown as the mean of both, with a note. Weights are stored as
    16-bit integers, with an error of at most 1/131070 of their range (per layer and head for
    attention), coefficient profiles as 8-bit integers, with an error of at most 1/510 of theirs.
    Pairs i ≤ j are stored once, attention in both directions.

    Args:
        graph: From `learned_graph`, or from `batch_graph` for correlations only. The optional
            attributes `image` (uint8 [B, 3, h, w]) and `name` (B class names) are shown.
        title: Heading of the page.
        links: Title → relative address of other pictures, shown in the page header.

    Returns:
        HTML, identical for equal input.

    Raises:
        ValueError: If `graph` is not a complete batch graph with at least two nodes and two
            channels.

    Example:
        >>> from gcahng.graph import batch_graph
        >>> graph = batch_graph(torch.randn(4, 8), torch.tensor([0, 1, 0, 1]))
        >>> page = graph_page(graph, title="Birds & cars")
        >>> page[:15], "<h1>Birds &amp; cars</h1>" in page
        ('<!doctype html>', True)
    """
    check_batch_graph(graph)
    graph, averaged = _by_pairs(graph)
    data = json.dumps(page_data(graph), allow_nan=False, separators=(",", ":"))
    return fill_template(
        "gcahng.graph.visualize",
        "page.html",
        title=title,
        links=links,
        averaged=averaged,
        profiles=graph.get("coefficients") is not None,
        style=_asset("page.css"),
        script=Markup("\n").join(_asset(f"{name}.js") for name in SCRIPTS),
        # Without "<" the data cannot end its <script> block; browsers do not unescape HTML there.
        data=Markup(data.replace("<", "\\u003c")),
    )


def _asset(name: str) -> Markup:
    """A style sheet or script of this package, inserted without escaping."""
    return Markup((ASSETS / name).read_text(encoding="utf-8"))


def _by_pairs(graph: Data) -> tuple[Data, bool]:
    """Average the coefficients of both directions if they differ; return whether they did."""
    if graph.get("coefficients") is None:
        return graph, False
    size = graph.x.size(0)
    square = graph.coefficients.view(size, size, -1)
    if (square - square.transpose(0, 1)).abs().max() <= ROUNDING:
        return graph, False
    symmetric = copy(graph)
    symmetric.coefficients = ((square + square.transpose(0, 1)) / 2).flatten(0, 1)
    return symmetric, True
