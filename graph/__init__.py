"""The batch as a graph, what is learned on it, and the negatives it yields."""

import warnings

with warnings.catch_warnings():
    # torch-geometric still uses torch.jit, which says so at every start.
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.jit")
    import torch_geometric  # noqa: F401

from gcahng.graph.batch_graph import PairGraph, batch_graph, check_batch_graph, pair_graph
from gcahng.graph.convs import CONVS, SETTINGS, GCAConv, Layer, LayerSpec, build_conv
from gcahng.graph.correlation import Correlation, CorrelationNetwork
from gcahng.graph.layout import BatchLayout, batch_layout
from gcahng.graph.mixing import synthetic_negatives

__all__ = [
    "CONVS",
    "SETTINGS",
    "BatchLayout",
    "Correlation",
    "CorrelationNetwork",
    "GCAConv",
    "Layer",
    "LayerSpec",
    "PairGraph",
    "batch_graph",
    "batch_layout",
    "build_conv",
    "check_batch_graph",
    "pair_graph",
    "synthetic_negatives",
]
