"""Attributes and classes of a batch graph, for all figures."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph.visualize.learned import class_names
from gcahng.graph.visualize.style import shorten

SOURCES = {"coefficients": "learned_graph", "negatives": "a generator of negatives"}


def require(graph: Data, name: str) -> Any:
    """Return an attribute of the graph; a ValueError names the function that adds it."""
    value = graph.get(name)
    if value is None:
        raise ValueError(f"Expected a graph with '{name}' (from {SOURCES[name]})")
    return value


def as_array(tensor: Tensor) -> np.ndarray:
    """Convert a tensor of any device and precision to a float64 array."""
    return tensor.detach().to("cpu", torch.float64).numpy()


def class_numbers(graph: Data) -> Tensor:
    """Number the classes 0..S-1 in order of first appearance: [B], the number of each node."""
    numbers: dict[int, int] = {}
    return torch.tensor([numbers.setdefault(label, len(numbers)) for label in graph.y.tolist()])


def class_titles(graph: Data, limit: int = 24) -> list[str]:
    """Name of each class 0..S-1, shortened to `limit` characters."""
    titles = dict(zip(class_numbers(graph).tolist(), class_names(graph), strict=True))
    return [shorten(titles[number], limit) for number in range(len(titles))]


def describe(graph: Data) -> str:
    """Size of the batch in words, such as '27 classes × 3 images'."""
    counts = class_numbers(graph).bincount()
    classes = f"{len(counts)} {'class' if len(counts) == 1 else 'classes'}"
    smallest, largest = int(counts.min()), int(counts.max())
    each = str(largest) if smallest == largest else f"{smallest} to {largest}"
    return f"{classes} × {each} {'image' if largest == 1 else 'images'}"


def class_slots(graph: Data) -> Tensor:
    """Return the embeddings [P, S, D] of a slot-major batch; a ValueError for any other order."""
    classes = int(class_numbers(graph).max()) + 1
    samples = graph.x.size(0) // classes
    if graph.y.tolist() != graph.y[:classes].tolist() * samples:
        raise ValueError(
            "Expected nodes in slot-major order, node i of class i mod S (as batch_layout gives)"
        )
    return graph.x.detach().view(samples, classes, -1)
