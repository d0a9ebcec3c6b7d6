"""A small batch graph with everything that there is to see on one, and its page in a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import Data

from gcahng.graph import CorrelationNetwork, batch_graph
from gcahng.graph.visualize import graph_page
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


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Open a graph's page; at the end it has not complained."""
    from tests.graph.visualize.browsing import Opened

    opened: list[Opened] = []

    def open_graph(graph: Data, width: int = 1280, height: int = 800, **more: Any) -> Opened:
        file = tmp_path / "graph.html"
        file.write_text(graph_page(graph, **more), encoding="utf-8")
        opened.append(Opened(browser, file, width, height))
        return opened[-1]

    yield open_graph
    for one in opened:
        one.page.close()
        assert one.complaints == []
