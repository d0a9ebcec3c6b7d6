"""The batch graph with what a network has learned on it: what every picture is drawn from."""

from copy import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing

from gcahng.graph.correlation import CorrelationNetwork

CORRELATION = "Pearson correlation of the embeddings"
COEFFICIENT = "mean channel coefficient"


class _Attention:
    """Collects the attention weights by which one layer's messages pass.

    Args:
        layer: Looked through for message-passing operators; the first with attention counts.
        size: How many nodes there are.
    """

    def __init__(self, layer: nn.Module, size: int) -> None:
        self.size = size
        self.weights: Tensor | None = None
        self.edges: Any = None
        self.hooks = [
            hook
            for module in layer.modules()
            if isinstance(module, MessagePassing)
            for hook in (
                module.register_propagate_forward_pre_hook(self._propagate),
                module.register_message_forward_hook(self._message),
            )
        ]

    def _propagate(self, module: MessagePassing, inputs: tuple[Any, ...]) -> None:
        # Some operators drop self loops or add them anew: only here it is known which edges pass.
        self.edges = inputs[0]

    def _message(self, module: MessagePassing, inputs: tuple[Any, ...], messages: Tensor) -> None:
        # PyG's own name; some of its layers make it within the message.
        alpha = inputs[0].get("alpha", getattr(module, "_alpha", None))
        if self.weights is not None or not _one_row_each(alpha, self.edges):
            return
        sender, receiver = self.edges if module.flow == "source_to_target" else self.edges.flip(0)
        rows = alpha.detach().flatten(1) if alpha.dim() > 1 else alpha.detach().unsqueeze(1)
        weights = rows.new_zeros(self.size * self.size, rows.size(1))
        self.weights = weights.index_add_(0, sender * self.size + receiver, rows)


def _one_row_each(alpha: Any, edges: Any) -> bool:
    """Whether something is a tensor with one row for each of some edges."""
    both = torch.is_tensor(alpha) and torch.is_tensor(edges)
    return both and alpha.dim() > 0 and alpha.size(0) == edges.size(1)


@torch.no_grad()
def learned_graph(network: CorrelationNetwork, graph: Data) -> Data:
    r"""Run a network on a batch graph and keep what it has learned as attributes of the edges.

    Args:
        network: In training mode or not; it runs in evaluation mode and is left as it was.
        graph: From `batch_graph`. Labels need not be training classes: they only mask.

    Returns:
        A shallow copy of `graph` with `coefficients` [B², D], η of every edge, and `attention`, a
        list with one entry for each layer: its weights `alpha` [B², heads] of edge i → j, by which
        node j attends to node i (0 where no message passes), or None for a layer without attention.

    Raises:
        ValueError: If `graph` is not a complete batch graph.
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


def edge_weights(
    graph: Data, layer: int | None = None, head: int | None = None
) -> tuple[Tensor, str]:
    """One number for each pair of nodes, and what it is.

    Args:
        graph: From `learned_graph`; from `batch_graph` it has correlations alone.
        layer: From 1: that layer's attention. None: the mean coefficient, or where nothing was
            learned the correlation of the embeddings.
        head: From 1; None: the mean over the heads.

    Returns:
        [B, B], at [i, j] the weight of edge i → j, and its name.

    Raises:
        ValueError: If there is no such layer or head, or the layer has no attention.
    """
    size = graph.x.size(0)
    if layer is None:
        if head is not None:
            raise ValueError(f"Expected a 'layer' for 'head' {head}")
        values = graph.get("coefficients")
        if values is None:
            return graph.edge_attr.sum(-1).view(size, size), CORRELATION
        return values.mean(-1).view(size, size), COEFFICIENT
    attention = graph.get("attention") or []
    if not 1 <= layer <= len(attention):
        raise ValueError(f"Expected 'layer' between 1 and {len(attention)} (got {layer})")
    weights = attention[layer - 1]
    if weights is None:
        raise ValueError(f"Expected a 'layer' with attention (layer {layer} has none)")
    heads = weights.size(1)
    if head is None:
        return weights.mean(-1).view(size, size), f"attention of layer {layer}, mean of its heads"
    if not 1 <= head <= heads:
        raise ValueError(f"Expected 'head' between 1 and {heads} (got {head})")
    return weights[:, head - 1].view(size, size), f"attention of layer {layer}, head {head}"


def class_names(graph: Data) -> list[str]:
    """The name of each node's class: `name` where the graph has it, else its number."""
    names = graph.get("name")
    return list(names) if names is not None else [f"class {label}" for label in graph.y.tolist()]
