"""Figures of a batch graph: functions from a PyG `Data` to a matplotlib figure.

Figures need no display and need not be closed. Save one with `figure.savefig("batch.svg")`; a
notebook shows it with `display(figure)` after `%matplotlib inline`.

Example:
    >>> import torch
    >>> from gcahng.graph import CorrelationNetwork, batch_graph
    >>> batch = batch_graph(torch.randn(6, 8), labels=torch.tensor([0, 1, 2, 0, 1, 2]))
    >>> graph = learned_graph(CorrelationNetwork(8, num_classes=3, layers=1, heads=2), batch)
    >>> draw_coefficients(graph).get_suptitle()
    'Channel coefficients η of 3 classes × 2 images: ...'
"""

from gcahng.graph.visualize.batch_picture import draw_graph
from gcahng.graph.visualize.coefficients import draw_coefficients
from gcahng.graph.visualize.distances import draw_distances
from gcahng.graph.visualize.learned import edge_weights, learned_graph
from gcahng.graph.visualize.negatives import draw_negatives
from gcahng.graph.visualize.page import graph_page
from gcahng.graph.visualize.projection import Projection

__all__ = [
    "Projection",
    "draw_coefficients",
    "draw_distances",
    "draw_graph",
    "draw_negatives",
    "edge_weights",
    "graph_page",
    "learned_graph",
]
