"""Layers and graphs for tests of layers."""

import torch
from torch import Tensor, nn

from tests.graph.oracle import complete_edges

NODES, CHANNELS, EDGE_DIM = 6, 4, 6
LABELS = torch.arange(3).repeat(2)


def moved(conv: nn.Module) -> nn.Module:
    """The layer in float64 with every parameter away from its initial 0 or 1."""
    for parameter in conv.double().parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
    return conv


def complete() -> tuple[Tensor, Tensor, Tensor]:
    """Nodes, all edges, and symmetric edge features."""
    torch.manual_seed(1)
    x = torch.randn(NODES, CHANNELS, dtype=torch.float64)
    edges = torch.randn(NODES, NODES, EDGE_DIM, dtype=torch.float64)
    edges = edges + edges.transpose(0, 1)
    return x, complete_edges(NODES), edges.flatten(0, 1)


def sparse() -> tuple[Tensor, Tensor, Tensor]:
    """A few directed edges, one self loop, and node 4 without any edge."""
    x, _, edges = complete()
    edge_index = torch.tensor([[0, 1, 2, 5, 3, 0, 5, 2], [1, 0, 1, 3, 3, 2, 1, 5]])
    return x, edge_index, edges[:8]
