"""The correlation network: projection, layers, coefficient head and class head."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data

from gcahng.arguments import is_integer
from gcahng.graph.batch import PairGraph, batch_graph, check_batch_graph, pair_graph
from gcahng.graph.convs import Layer, build_conv
from gcahng.graph.dense.pairs import Pairs, pair_standardize
from gcahng.processes import Group


@dataclass(frozen=True)
class Correlation:
    """Output of the network for one batch.

    Attributes:
        coefficients: η in (0, 1): [B, B, D] for ordered pairs, or [M, D] for the rows `pairs` of
            the dense path.
        pairs: The pairs of the dense path after the last layer, or None.
        class_features: [B, D] node features that the class head maps to class scores.
        x: [B, D] node features after the last layer.
        edge_attr: [B², D] or, on the dense path, [M, D] edge features after the last layer.
        class_head: The linear map from `class_features` to class scores.
    """

    coefficients: Tensor
    pairs: Pairs | None
    class_features: Tensor
    x: Tensor
    edge_attr: Tensor
    class_head: nn.Module

    @property
    def channel_coefficients(self) -> Tensor:
        """η [B, B, D], one per ordered pair and channel; expanded on demand on the dense path."""
        return self.coefficients if self.pairs is None else self.pairs.to_dense(self.coefficients)

    @property
    def node_logits(self) -> Tensor:
        """Class scores [B, num_classes] of the nodes, computed on demand."""
        # The features may be of lower precision than the head, if they come from autocast.
        return self.class_head(self.class_features.to(next(self.class_head.parameters()).dtype))


class CorrelationNetwork(nn.Module):
    r"""Predict channel coefficients and node logits from a batch graph.

    .. math:: \eta_{ij} = \sigma(W \, \mathrm{BatchNorm}(e_{ij}) + b), \qquad
        \mathrm{logits}_i = W' \, \mathrm{BatchNorm}(h_i) + b'

    where h and e are the node and edge features after a linear node projection and the layers. The
    biases of both BatchNorms are fixed at 0. The graph type selects the path: a PyG `Data`
    (`batch_graph`) runs the message-passing reference, a `PairGraph` (`pair_graph`) the dense path
    with the same parameters.

    Args:
        channels: D, the width of embeddings, nodes and edges.
        num_classes: Number of training classes, the width of the node logits.
        layers: Number of layers of type `conv` (0: predict from the initial edges), or a sequence
            of layers, each given as for `conv`.
        conv: Name of the layer (`gcahng.graph.CONVS`), or a `LayerSpec` of name and arguments.
        **settings: Arguments shared by the layers (`gcahng.graph.SETTINGS`); each layer gets those
            that it accepts.

    Source: GCA-HNG (IJCV 2025), globally correlation learning.

    Example:
        >>> z, labels = torch.randn(6, 8), torch.tensor([0, 1, 2, 0, 1, 2])
        >>> network = CorrelationNetwork(8, num_classes=3, layers=2, heads=2)
        >>> out = network(pair_graph(z, labels))
        >>> out.channel_coefficients.shape, out.node_logits.shape
        (torch.Size([6, 6, 8]), torch.Size([6, 3]))
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        layers: int | Sequence[Layer] = 2,
        conv: Layer = "gca",
        **settings: Any,
    ) -> None:
        super().__init__()
        if isinstance(layers, int) and not is_integer(layers, 0):
            raise ValueError(f"Expected 'layers' as a number of at least 0 (got {layers!r})")
        self.projection = nn.Linear(channels, channels)
        chosen = [conv] * layers if isinstance(layers, int) else layers
        self.layers = nn.ModuleList(
            build_conv(layer, channels, channels, settings) for layer in chosen
        )
        self.coefficient_norm = nn.BatchNorm1d(channels)
        self.coefficient_head = nn.Linear(channels, channels)
        self.class_norm = nn.BatchNorm1d(channels)
        self.class_head = nn.Linear(channels, num_classes)
        self.coefficient_norm.bias.requires_grad_(False)
        self.class_norm.bias.requires_grad_(False)

    def forward(self, graph: Data | PairGraph, detach_coefficients: bool = False) -> Correlation:
        """Run the network on a graph from `batch_graph` (reference) or `pair_graph` (dense path).

        `detach_coefficients` computes the coefficients, and on the dense path the last edge update,
        without gradient; running statistics are still updated.
        """
        pairs = None
        if isinstance(graph, PairGraph):
            x, edge_attr, pairs = self._on_pairs(graph, detach_coefficients)
            with torch.no_grad() if detach_coefficients else nullcontext():
                coefficients = self._pair_coefficients(edge_attr, pairs)
        else:
            check_batch_graph(graph)
            x, edge_attr, coefficients = self._on_edges(graph)
            coefficients = coefficients.view(x.size(0), x.size(0), -1)
        if detach_coefficients:
            coefficients = coefficients.detach()
        return Correlation(coefficients, pairs, self.class_norm(x), x, edge_attr, self.class_head)

    def build_graph(
        self, embeddings: Tensor, labels: Tensor, group: Group = None
    ) -> Data | PairGraph:
        """Build the graph of the fastest path of this network in its current mode.

        Embeddings are [B, D]; processes of a `group` share the graph where the layers allow it.
        """
        if not self.runs_on_pairs:
            return batch_graph(embeddings, labels)
        # Separated pairs cannot be shared: how many rows they need is known only in the layer.
        return pair_graph(embeddings, labels, None if self.separates_pairs else group)

    @property
    def runs_on_pairs(self) -> bool:
        """True if every layer has a dense path."""
        return all(hasattr(layer, "pair_nodes") for layer in self.layers)

    @property
    def separates_pairs(self) -> bool:
        """True if edges (i, j) and (j, i) may become different on the dense path."""
        return any(getattr(layer, "separates_pairs", False) for layer in self.layers)

    def _on_edges(self, graph: Data) -> tuple[Tensor, Tensor, Tensor]:
        x, edge_attr = self.projection(graph.x), graph.edge_attr
        for layer in self.layers:
            x, edge_attr = layer(x, graph.edge_index, edge_attr, graph.y)
        return x, edge_attr, self.coefficient_head(self.coefficient_norm(edge_attr)).sigmoid()

    def _on_pairs(self, graph: PairGraph, detach: bool) -> tuple[Tensor, Tensor, Pairs]:
        """Return nodes and edges, and the pairs of the edges."""
        x, edge_attr, pairs = self.projection(graph.x), graph.edge_attr, graph.pairs
        layer: Any
        for layer in self.layers:
            if not hasattr(layer, "pair_nodes"):
                raise ValueError(
                    f"Expected layers that run on a pair graph (got {layer}); use batch_graph "
                    "instead of pair_graph"
                )
        for depth, layer in enumerate(self.layers, start=1):
            x = layer.pair_nodes(x, pairs, edge_attr, graph.y)
            with torch.no_grad() if detach and depth == len(self.layers) else nullcontext():
                edge_attr, pairs = layer.pair_edges(x, pairs, edge_attr)
        return x, edge_attr, pairs

    def _pair_coefficients(self, edge_attr: Tensor, pairs: Pairs) -> Tensor:
        """Apply the coefficient head to pairs; the norm's affine map folds into the linear map."""
        norm, head = self.coefficient_norm, self.coefficient_head
        weight = head.weight * norm.weight
        bias = torch.addmv(head.bias, head.weight, norm.bias)
        return F.linear(pair_standardize(norm, edge_attr, pairs), weight, bias).sigmoid_()
