"""A batch graph as one self-contained interactive HTML page."""

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.data import Data

from gcahng.graph.batch import check_batch_graph
from gcahng.graph.dense.pairs import unordered_pairs
from gcahng.graph.visualize.learned import class_names, class_numbers, edge_weights, saturation
from gcahng.graph.visualize.projection import Projection
from gcahng.graph.visualize.style import CLASSES, ink
from gcahng.pages import data_uri, fill_template

ASSETS = Path(__file__).parent / "templates"
# Bars of a profile, neighbours of a node, and pixels of a picture, at most.
PROFILE_BARS, NEIGHBOURS, THUMBNAIL = 64, 8, 64
SCRIPTS = ("data", "places", "drawing", "cards", "pointing", "controls")


@torch.no_grad()
def graph_page(graph: Data, *, title: str = "Batch graph", links: Mapping[str, str] = {}) -> str:
    """Draw a batch graph as a self-contained page to explore images, pairs and coefficients.

    The page needs no network. Of coefficients that differ between i → j and j → i, as layers of
    your own may produce them, the mean is shown. Weights are stored as 16-bit, coefficient profiles
    as 8-bit integers.

    Args:
        graph: From `learned_graph`, or from `batch_graph` for correlations only, with at least two
            nodes and two channels. Shown if present: `image` uint8 [B, 3, h, w], `name` of classes.
        title: Heading of the page.
        links: Title → relative address of other pictures, shown in the page header.

    Example:
        >>> from gcahng.graph import batch_graph
        >>> graph = batch_graph(torch.randn(4, 8), torch.tensor([0, 1, 0, 1]))
        >>> page = graph_page(graph, title="Birds & cars")
        >>> page[:15], "<h1>Birds &amp; cars</h1>" in page
        ('<!doctype html>', True)
    """
    check_batch_graph(graph)
    data = json.dumps(page_data(graph), allow_nan=False, separators=(",", ":"))
    return fill_template(
        "gcahng.graph.visualize",
        "page.html",
        title=title,
        links=links,
        profiles=graph.get("coefficients") is not None,
        style=_asset("page.css"),
        script=Markup("\n").join(_asset(f"{name}.js") for name in SCRIPTS),
        # Without "<" the data cannot end its <script> block; browsers do not unescape HTML there.
        data=Markup(data.replace("<", "\\u003c")),
    )


def _asset(name: str) -> Markup:
    return Markup((ASSETS / name).read_text(encoding="utf-8"))


def page_data(graph: Data) -> dict[str, Any]:
    """Collect all that the page's script draws; what the graph lacks is None or empty.

    Numbers are quantised and base64-encoded: value = low + step · integer.
    """
    bare = graph.get("coefficients") is None
    projection, classes = Projection.fit(graph.x), class_numbers(graph)
    places = projection(graph.x)
    low, high = places.aminmax(dim=0)
    return {
        "channels": graph.x.size(1),
        "classes": len(classes.unique()),
        "colours": [{"frame": colour, "ink": ink(colour)} for colour in CLASSES],
        "shares": [round(share, 4) for share in projection.shares],
        "nodes": [
            {"name": name, "class": number, "place": place, "near": near, "image": image}
            for name, number, place, near, image in zip(
                class_names(graph),
                classes.tolist(),
                _rounded((places - low) / (high - low).clamp(min=1e-300)),
                _neighbours(graph.x.double().cpu()),
                _thumbnails(graph),
                strict=True,
            )
        ],
        "saturated": None if bare else saturation(graph),
        "coefficient": None if bare else _of_pairs(graph, edge_weights(graph)[0]),
        "correlation": _of_pairs(graph, graph.edge_attr.sum(-1).view(len(places), len(places))),
        "attention": _attention(graph),
        "profile": None if bare else _profiles(graph),
    }


def _of_pairs(graph: Data, weights: Tensor) -> dict[str, Any]:
    """Quantise symmetric weights [B, B], stored for the pairs i ≤ j by row."""
    pairs = unordered_pairs(graph.x.size(0), graph.x.device)
    return _quantised(weights[pairs.row, pairs.col], "<u2")


def _attention(graph: Data) -> list[dict[str, Any]]:
    """Quantise the weights of each layer with attention, by head, row-major."""
    layers = enumerate(graph.get("attention") or [], start=1)
    return [
        {"layer": layer, "heads": [_quantised(head, "<u2") for head in weights.unbind(1)]}
        for layer, weights in layers
        if weights is not None
    ]


def _profiles(graph: Data) -> dict[str, Any]:
    """Quantise the coefficients of the pairs i ≤ j: means over groups of channels by variance."""
    size = graph.x.size(0)
    pairs = unordered_pairs(size, graph.x.device)
    square = graph.coefficients.view(size, size, -1)
    values = ((square + square.transpose(0, 1)) / 2).flatten(0, 1)
    order = values.var(0, correction=0).argsort(descending=True, stable=True)
    half = values[pairs.row * size + pairs.col][:, order]
    groups = half.tensor_split(min(PROFILE_BARS, half.size(1)), dim=1)
    bars = torch.stack([group.mean(1) for group in groups], 1)
    # Off-diagonal pairs count twice, as in the variance over edges.
    mean = (bars * pairs.weight.unsqueeze(1)).sum(0) / pairs.weight.sum()
    return {
        "sizes": [group.size(1) for group in groups],
        "mean": [round(value, 4) for value in mean.tolist()],
        **_quantised(bars, "u1"),
    }


def _quantised(values: Tensor, dtype: str) -> dict[str, Any]:
    """Quantise values to evenly spaced integers between minimum and maximum."""
    numbers = values.double().cpu().numpy()
    low, levels = numbers.min(), np.iinfo(dtype).max
    step = (numbers.max() - low) / levels
    integers = np.rint((numbers - low) / step) if step else np.zeros_like(numbers)
    packed = base64.b64encode(integers.astype(dtype).tobytes()).decode("ascii")
    return {"low": float(low), "step": float(step), "packed": packed}


def _neighbours(x: Tensor) -> list[list[tuple[int, float]]]:
    """Nearest other nodes of each node and their cosine similarities."""
    unit = F.normalize(x, dim=-1)
    found = (unit @ unit.T).fill_diagonal_(-torch.inf).sort(descending=True, stable=True)
    count = min(NEIGHBOURS, len(x) - 1)
    nodes, cosines = found.indices[:, :count].tolist(), _rounded(found.values[:, :count])
    return [list(zip(*row, strict=True)) for row in zip(nodes, cosines, strict=True)]


def _rounded(values: Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in row] for row in values.tolist()]


def _thumbnails(graph: Data) -> list[str | None]:
    """Image of each node as the data URI of a JPEG."""
    images = graph.get("image")
    if images is None:
        return [None] * graph.x.size(0)
    found: list[str | None] = []
    for image in images:
        picture = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()))
        picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        picture.save(file, "jpeg", quality=90)
        found.append(data_uri(file.getvalue(), "image/jpeg"))
    return found
