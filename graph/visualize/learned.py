"""The batch graph with what a network has learned on it: what every picture is drawn from."""

from copy import copy
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing

from graph.correlation import CorrelationNetwork

CORRELATION = "Pearson correlation of the embeddings"
COEFFICIENT = "mean channel coefficient"


@torch.no_grad()
def learned_graph(network: CorrelationNetwork, graph: Data) -> Data:
    r"""Run a network on a batch graph and keep what it has learned as attributes of the edges.

    Args:
        network: In training mode or not; it runs in evaluation mode and is left as it was.
        graph: From `batch_graph`. Labels need not be training classes: they only mask.

    Returns:
        A shallow copy of `graph` with `coefficients` [B², D], η of every edge, and `attention`, a
        list with one entry for each layer: its weights `alpha` [B², heads] of edge i → j, by which
        node j attends to node i, or None for a layer without attention.

    Raises:
        ValueError: If `graph` is not a complete batch graph.
    """
    found: list[list[Tensor]] = [[] for _ in network.layers]
    hooks = []
    for seen, layer in zip(found, network.layers, strict=True):
        for module in layer.modules():
            if isinstance(module, MessagePassing):
                hooks.append(module.register_message_forward_hook(_keep_alpha(seen)))
    training = network.training
    try:
        learned = network.eval()(graph)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    result = copy(graph)
    result.coefficients = learned.coefficients.flatten(0, 1)
    result.attention = [seen[0] if seen else None for seen in found]
    return result


def _keep_alpha(seen: list[Tensor]) -> Any:
    """A hook that keeps the attention weights of a layer's messages, `alpha` as PyG calls them."""

    def hook(module: MessagePassing, inputs: tuple[Any, ...], messages: Tensor) -> None:
        # Some of PyG's layers make it within the message.
        alpha = inputs[0].get("alpha", getattr(module, "_alpha", None))
        if alpha is not None:
            seen.append(alpha.flatten(1) if alpha.dim() > 1 else alpha.unsqueeze(1))

    return hook


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
