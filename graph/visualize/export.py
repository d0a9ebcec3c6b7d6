"""Export a batch graph to networkx and to GraphML or GEXF (Gephi)."""

import re
from copy import copy
from pathlib import Path
from typing import Any

import networkx
from torch_geometric.data import Data
from torch_geometric.utils import to_networkx as pyg_to_networkx

from gcahng.graph.visualize.learned import class_names, edge_weights

# Characters that XML cannot represent.
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
WRITERS = {"graphml": networkx.write_graphml, "gexf": networkx.write_gexf}


def to_networkx(graph: Data) -> "networkx.DiGraph[int]":
    """Convert to a directed networkx graph with plain numbers and strings, without self loops.

    Nodes have `label` (class name and node number) and `y`. Edges i → j have `weight` (mean channel
    coefficient, or the correlation without learned coefficients), `correlation`, `same_class` (0
    or 1), and `attention_l` for each layer l with attention: the weight with which node j attends
    to node i, averaged over heads.

    Args:
        graph: From `learned_graph` or `batch_graph`.

    Example:
        >>> import torch
        >>> from gcahng.graph import batch_graph
        >>> z = torch.tensor([[1.0, 2, 3], [3, 2, 1], [1, 3, 2], [0, 1, 0]])
        >>> exported = to_networkx(batch_graph(z, labels=torch.tensor([0, 1, 0, 1])))
        >>> exported.nodes[0]
        {'label': 'class 0 · 0', 'y': 0}
        >>> round(exported.edges[0, 2]["correlation"], 3), exported.edges[0, 2]["same_class"]
        (0.5, 1)
    """
    plain, edges = copy(graph), ["weight", "correlation", "same_class"]
    names = (UNWRITABLE.sub(" ", name) for name in class_names(graph))
    plain.label = [f"{name} · {node}" for node, name in enumerate(names)]
    plain.weight = edge_weights(graph)[0].flatten().tolist()
    plain.correlation = graph.edge_attr.sum(-1).tolist()
    sender, receiver = graph.edge_index
    plain.same_class = (graph.y[sender] == graph.y[receiver]).long().tolist()
    for layer, attention in enumerate(graph.get("attention") or [], start=1):
        if attention is not None:
            edges.append(f"attention_{layer}")
            plain[edges[-1]] = edge_weights(graph, layer)[0].flatten().tolist()
    return pyg_to_networkx(plain, ["label", "y"], edges, remove_self_loops=True)


def write_graph(graph: Data, path: str | Path) -> None:
    """Write the graph of `to_networkx` as GraphML or GEXF, depending on the suffix of `path`.

    Raises:
        ValueError: If the suffix is neither .graphml nor .gexf.

    Example:
        >>> import tempfile, torch
        >>> from gcahng.graph import batch_graph
        >>> graph = batch_graph(torch.randn(4, 2), labels=torch.tensor([0, 1, 0, 1]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_graph(graph, f"{folder}/batch.graphml")
        ...     len(networkx.read_graphml(f"{folder}/batch.graphml"))
        4
    """
    path = Path(path)
    write: Any = WRITERS.get(path.suffix.removeprefix("."))
    if write is None:
        raise ValueError(f"Expected 'path' to end in .graphml or .gexf (got {path.name!r})")
    write(to_networkx(graph), path)
