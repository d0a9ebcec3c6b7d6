"""Batch graph with coefficients and attention of a network, and its classes: for all figures."""

from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing

from gcahng.graph.correlation import CorrelationNetwork
from gcahng.graph.visualize.style import shorten

# A coefficient this near to 0 or 1 is at it; a graph with a larger share of these is saturated.
AT_END, SATURATED = 0.05, 0.9
SOURCES = {"coefficients": "learned_graph", "negatives": "a generator of negatives"}


class _Attention:
    """Record, with forward hooks, the weights of a layer's first operator with attention."""

    def __init__(self, layer: nn.Module, size: int) -> None:
        self.size = size
        self.weights: Tensor | None = None
        self.edges: Any = None
        self.hooks: list[Any] = []
        for module in layer.modules():
            if isinstance(module, MessagePassing):
                self.hooks.append(module.register_propagate_forward_pre_hook(self._propagate))
                self.hooks.append(module.register_message_forward_hook(self._message))

    def _propagate(self, module: MessagePassing, inputs: tuple[Any, ...]) -> None:
        # Operators may remove or add self loops, so take the edges that they propagate.
        self.edges = inputs[0]

    def _message(self, module: MessagePassing, inputs: tuple[Any, ...], messages: Tensor) -> None:
        # PyG passes "alpha" to the message, or stores "_alpha" inside it, depending on the layer.
        alpha = inputs[0].get("alpha", getattr(module, "_alpha", None))
        tensors = torch.is_tensor(alpha) and torch.is_tensor(self.edges)
        one_row_each = tensors and alpha.dim() > 0 and alpha.size(0) == self.edges.size(1)
        if self.weights is not None or not one_row_each:
            return
        sender, receiver = self.edges if module.flow == "source_to_target" else self.edges.flip(0)
        rows = alpha.detach().flatten(1) if alpha.dim() > 1 else alpha.detach().unsqueeze(1)
        weights = rows.new_zeros(self.size * self.size, rows.size(1))
        self.weights = weights.index_add_(0, sender * self.size + receiver, rows)


@torch.no_grad()
def learned_graph(network: CorrelationNetwork, graph: Data) -> Data:
    r"""Run a network on a batch graph and store coefficients and attention as edge attributes.

    Args:
        network: Run in evaluation mode; its training mode is restored afterwards.
        graph: From `batch_graph`. Labels are used for masking only, so they need not be training
            classes.

    Returns:
        A shallow copy of `graph` with `coefficients` [B², D], the η of every edge, and `attention`,
        a list with one entry per layer: weights [B², heads] with which node j attends to node i for
        edge i → j (0 without a message), or None for a layer without attention.

    Example:
        >>> from gcahng.graph import batch_graph
        >>> batch = batch_graph(torch.randn(6, 8), labels=torch.tensor([0, 1, 2, 0, 1, 2]))
        >>> graph = learned_graph(CorrelationNetwork(8, num_classes=3, layers=1, heads=2), batch)
        >>> graph.coefficients.shape, graph.attention[0].shape
        (torch.Size([36, 8]), torch.Size([36, 2]))
    """
    found = [_Attention(layer, graph.num_nodes or 0) for layer in network.layers]
    modes = {module: module.training for module in network.modules()}
    try:
        learned = network.eval()(graph)
    finally:
        for module, training in modes.items():
            module.training = training
        for hook in (hook for one in found for hook in one.hooks):
            hook.remove()
    result = copy(graph)
    result.coefficients = learned.coefficients.flatten(0, 1)
    result.attention = [one.weights for one in found]
    return result


def edge_weights(graph: Data) -> tuple[Tensor, str]:
    """Return one weight per pair of nodes [B, B], and its meaning.

    The weight is the mean channel coefficient of both directions, or without learned coefficients
    the correlation of the embeddings.

    Args:
        graph: From `learned_graph`, or from `batch_graph` for correlations only.

    Example:
        >>> from gcahng.graph import batch_graph
        >>> z = torch.tensor([[1.0, 2, 3], [3, 2, 1], [1, 3, 2], [0, 0, 1]])
        >>> weights, name = edge_weights(batch_graph(z, labels=torch.tensor([0, 1, 0, 1])))
        >>> weights[0], name
        (tensor([ 1.0000, -1.0000,  0.5000,  0.8660]), 'Pearson correlation of the embeddings')
    """
    size = graph.x.size(0)
    if graph.get("coefficients") is None:
        return graph.edge_attr.sum(-1).view(size, size), "Pearson correlation of the embeddings"
    means = graph.coefficients.mean(-1).view(size, size)
    name = "mean channel coefficient" + (" (saturated)" if saturation(graph) else "")
    return (means + means.T) / 2, name


def saturation(graph: Data) -> str | None:
    """Say so if nearly all coefficients of pairs of two nodes are at 0 or 1."""
    size = graph.x.size(0)
    values = graph.coefficients.detach().view(size, size, -1)
    values = values[~torch.eye(size, dtype=torch.bool, device=values.device)]
    share = float(((values < AT_END) | (values > 1 - AT_END)).float().mean())
    if share <= SATURATED:
        return None
    return f"Saturated: {100 * share:.0f} % of the coefficients η are within {AT_END} of 0 or 1."


def class_names(graph: Data) -> list[str]:
    """Class name of each node: the attribute `name`, or `class 3` for label 3 without names."""
    names = graph.get("name")
    return list(names) if names is not None else [f"class {label}" for label in graph.y.tolist()]


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
