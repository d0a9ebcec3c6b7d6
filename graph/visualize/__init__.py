"""Pictures of a batch graph: a PyG `Data` goes in, a matplotlib figure comes out.

The figures are made without `pyplot`: they need no display and nothing has to be closed. Write one
with `figure.savefig("batch.svg")`; in a notebook it shows as the last value of a cell, or with
`display(figure)`, once `%matplotlib inline` has been run.
"""

from gcahng.graph.visualize.batch_picture import draw_graph
from gcahng.graph.visualize.coefficients import draw_coefficients
from gcahng.graph.visualize.distances import draw_distances
from gcahng.graph.visualize.export import to_networkx, write_graph
from gcahng.graph.visualize.hardness import draw_hardness
from gcahng.graph.visualize.learned import class_names, edge_weights, learned_graph
from gcahng.graph.visualize.matrices import draw_matrices
from gcahng.graph.visualize.negatives import draw_negatives
from gcahng.graph.visualize.page import graph_page
from gcahng.graph.visualize.projection import Projection

__all__ = [
    "Projection",
    "class_names",
    "draw_coefficients",
    "draw_distances",
    "draw_graph",
    "draw_hardness",
    "draw_matrices",
    "draw_negatives",
    "edge_weights",
    "graph_page",
    "learned_graph",
    "to_networkx",
    "write_graph",
]
