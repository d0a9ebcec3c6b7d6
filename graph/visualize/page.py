"""A batch graph as one interactive page: self-contained, it works from a file without a network."""

import json
from collections.abc import Mapping
from copy import copy
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import torch
from torch_geometric.data import Data

from gcahng.graph.batch_graph import check_batch_graph
from gcahng.graph.visualize.page_data import page_data

ASSETS = Path(__file__).parent / "assets"
# What two directions of one pair may differ by where they are the same.
ROUNDING = 1e-4
SCRIPTS = ("data", "places", "drawing", "cards", "pointing", "controls")

DIRECTIONS = " Coefficients are means of both directions of a pair, which differ here."


@torch.no_grad()
def graph_page(graph: Data, *, title: str = "Batch graph", links: Mapping[str, str] = {}) -> str:
    """Draw a batch graph as a page to look around in: its pictures, pairs and coefficients.

    Coefficients that differ between i → j and j → i, which layers of this project never make, are
    shown as the mean of both, and the page says so. Weights are stored as 16-bit integers, so they
    are off by at most 1/131070 of their range (of that layer and head, for attention); coefficient
    profiles as 8-bit ones, off by at most 1/510 of theirs. Pairs i ≤ j are stored once, attention
    in both directions.

    Args:
        graph: From `learned_graph`, or from `batch_graph` for correlations alone. `image` (uint8
            [B, 3, h, w]) and `name` (B names of classes) are shown where it has them.
        title: Heading of the page.
        links: Title → relative address of other pictures, for the head of the page.

    Returns:
        HTML, the same for equal input.

    Raises:
        ValueError: If `graph` is no complete batch graph of at least two nodes and two channels, an
            attribute does not fit it or is not finite, or a link is not relative.
    """
    check_batch_graph(graph)
    _check_attributes(graph)
    graph, directed = _by_pairs(graph)
    # "<" cannot end the block of data then, whatever the names are; json escapes the rest.
    data = json.dumps(page_data(graph), allow_nan=False, separators=(",", ":"))
    return Template(_asset("page.html")).substitute(
        title=escape(title),
        links=_navigation(links),
        directions=DIRECTIONS if directed else "",
        style=_asset("page.css"),
        script="\n".join(_asset(f"{name}.js") for name in SCRIPTS),
        data=data.replace("<", "\\u003c"),
    )


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _navigation(links: Mapping[str, str]) -> str:
    """The links as HTML; nothing at all where there are none."""
    for address in links.values():
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            raise ValueError(f"Expected 'links' to be relative addresses (got '{address}')")
    items = [f'<a href="{escape(where)}">{escape(what)}</a>' for what, where in links.items()]
    return f'<nav aria-label="Other pictures">{"".join(items)}</nav>' if items else ""


def _by_pairs(graph: Data) -> tuple[Data, bool]:
    """The graph with one coefficient per pair and channel, and whether there were two."""
    if graph.get("coefficients") is None:
        return graph, False
    size = graph.x.size(0)
    square = graph.coefficients.view(size, size, -1)
    if (square - square.transpose(0, 1)).abs().max() <= ROUNDING:
        return graph, False
    even = copy(graph)
    even.coefficients = ((square + square.transpose(0, 1)) / 2).flatten(0, 1)
    return even, True


def _check_attributes(graph: Data) -> None:
    """Check what is shown beside the graph itself, so that a mistake is named here."""
    size = graph.x.size(0)
    image, name, coefficients = graph.get("image"), graph.get("name"), graph.get("coefficients")
    if image is not None and (
        image.dtype != torch.uint8 or image.dim() != 4 or tuple(image.shape[:2]) != (size, 3)
    ):
        raise ValueError(
            f"Expected 'image' as uint8 [{size}, 3, h, w] (got {image.dtype} {list(image.shape)})"
        )
    if name is not None and len(name) != size:
        raise ValueError(f"Expected 'name' with {size} entries (got {len(name)})")
    rows = {f"attention[{at}]": value for at, value in enumerate(graph.get("attention") or [])}
    for what, values in {"coefficients": coefficients, **rows}.items():
        if values is not None and (values.dim() != 2 or values.size(0) != size * size):
            raise ValueError(
                f"Expected '{what}' with {size * size} rows (got {list(values.shape)})"
            )
        if values is not None and not values.isfinite().all():
            raise ValueError(f"Expected finite '{what}' (got NaN or infinity)")
