"""The batch graph for other programs: networkx, and the files that Gephi opens."""

import re
from copy import copy
from pathlib import Path
from typing import Any

import networkx
from torch_geometric.data import Data
from torch_geometric.utils import to_networkx as pyg_to_networkx

from gcahng.graph.visualize.learned import class_names, edge_weights

# What XML has no way to write.
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
WRITERS = {"graphml": networkx.write_graphml, "gexf": networkx.write_gexf}


def to_networkx(graph: Data) -> "networkx.DiGraph[int]":
    """A directed networkx graph of plain numbers and texts, without self loops.

    Nodes have `label` (class name and number of the node) and `y`; edges i → j have `weight` (mean
    channel coefficient, or the correlation where nothing was learned), `correlation`,
    `same_class` (0 or 1), and for each layer l with attention `attention_l`, by which node j
    attends to node i, the mean of its heads.

    Args:
        graph: From `learned_graph` or `batch_graph`.
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
    """Write what `to_networkx` makes as GraphML or GEXF, by the ending of `path`.

    Raises:
        ValueError: If the ending is another.
    """
    path = Path(path)
    write: Any = WRITERS.get(path.suffix.removeprefix("."))
    if write is None:
        raise ValueError(f"Expected 'path' to end in .graphml or .gexf (got {path.name!r})")
    write(to_networkx(graph), path)
