"""Pictures of a batch graph: a PyG `Data` goes in, a matplotlib figure comes out."""

from graph.visualize.learned import class_names, edge_weights, learned_graph

__all__ = ["class_names", "edge_weights", "learned_graph"]
