"""Batch graph, message-passing layers, channel coefficients and synthetic negatives.

Example:
    >>> import torch
    >>> embeddings, labels = torch.randn(6, 8), torch.tensor([0, 1, 2, 0, 1, 2])
    >>> graph = batch_graph(embeddings, labels)
    >>> network = CorrelationNetwork(8, num_classes=3, layers=1, heads=2)
    >>> network(graph).channel_coefficients.shape
    torch.Size([6, 6, 8])
"""

import warnings
from typing import TYPE_CHECKING

from gcahng.registry import imported_on_use

if TYPE_CHECKING:
    from gcahng.graph.batch import (
        BatchLayout,
        PairGraph,
        batch_graph,
        batch_layout,
        check_batch_graph,
        pair_graph,
    )
    from gcahng.graph.convs import CONVS, SETTINGS, Layer, LayerSpec, build_conv
    from gcahng.graph.convs.gca_conv import GCAConv
    from gcahng.graph.correlation import Correlation, CorrelationNetwork
    from gcahng.graph.mixing import synthetic_negatives
else:
    __getattr__ = imported_on_use(__name__)

# PyTorch Geometric still uses torch.jit, which warns when it is imported.
warnings.filterwarnings("ignore", category=FutureWarning, module="torch.jit")
