"""A small batch graph with everything that there is to see on one."""

import pytest
import torch
from torch_geometric.data import Data

from gcahng.graph import CorrelationNetwork, batch_graph
from gcahng.graph.visualize.learned import learned_graph

CLASSES, SAMPLES, CHANNELS, LAYERS, HEADS = 5, 3, 16, 2, 4


def make_graph(
    classes: int = CLASSES, samples: int = SAMPLES, channels: int = CHANNELS, layers: int = LAYERS
) -> Data:
    """A class-balanced batch in slot-major order: clustered embeddings, an untrained network."""
    torch.manual_seed(0)
    centres = torch.randn(classes, channels)
    slots = centres + 0.5 * torch.randn(samples, classes, channels)
    labels = (10 + torch.arange(classes)).repeat(samples)
    network = CorrelationNetwork(channels, 40, layers, "gca", heads=HEADS, edge_heads=HEADS)
    graph = learned_graph(network, batch_graph(slots.flatten(0, 1), labels))
    step = torch.rand(samples, classes, classes, 1)
    other = slots[0].expand(samples, classes, classes, channels)
    graph.negatives = slots.unsqueeze(2) + step * (other - slots.unsqueeze(2))
    graph.image = torch.randint(0, 256, (classes * samples, 3, 28, 28), dtype=torch.uint8)
    graph.name = [f"bird {label}" for label in labels.tolist()]
    return graph


@pytest.fixture
def graph() -> Data:
    return make_graph()
