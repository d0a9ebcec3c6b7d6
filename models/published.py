"""Convert the state dicts of the authors' published checkpoints to our names."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

# Modules of the graph network: published name → our name; {l} is the layer number.
GRAPH_NAMES = {
    "dim_red": "projection",
    "gnn.{l}.node_model.layers.0.att.q_linear": "layers.{l}.nodes.query",
    "gnn.{l}.node_model.layers.0.att.k_linear": "layers.{l}.nodes.key",
    "gnn.{l}.node_model.layers.0.att.v_linear": "layers.{l}.nodes.value",
    "gnn.{l}.node_model.layers.0.att.out": "layers.{l}.nodes.out",
    "gnn.{l}.node_model.layers.0.edge_to_node": "layers.{l}.nodes.edge_to_node",
    "gnn.{l}.node_model.layers.0.linear1": "layers.{l}.nodes.ffn.0",
    "gnn.{l}.node_model.layers.0.linear2": "layers.{l}.nodes.ffn.2",
    "gnn.{l}.node_model.layers.0.norm.1": "layers.{l}.nodes.norm",
    "gnn.{l}.edge_model.node_to_edge": "layers.{l}.edges.node_to_edge",
    "gnn.{l}.edge_model.att.q_linear": "layers.{l}.edges.query",
    "gnn.{l}.edge_model.att.k_linear": "layers.{l}.edges.key",
    "gnn.{l}.edge_model.att.v_linear": "layers.{l}.edges.value",
    "gnn.{l}.edge_model.linear.0": "layers.{l}.edges.ffn.0",
    "gnn.{l}.edge_model.linear.2": "layers.{l}.edges.ffn.2",
    "gnn.{l}.edge_model.linear.3": "layers.{l}.edges.ffn.3",
    "gnn.{l}.edge_model.norm.1": "layers.{l}.edges.norm",
    "bottleneck1.0": "coefficient_norm",
    "fc.0": "coefficient_head",
    "bottleneck2.0": "class_norm",
    "cls.0": "class_head",
}
# A linear layer in every published checkpoint that the published code never uses.
UNUSED_GRAPH = "gnn.{l}.node_model.layers.0.update_node"
# The published names of the backbones that checkpoints have.
BACKBONE_NAMES = {"Googlenet": "googlenet", "Resnet50": "resnet50", "DINO": "dino_vits16"}


class PublishedState(NamedTuple):
    """A published state dict, split by module and renamed; `unused` are keys that nobody reads."""

    embedder: dict[str, Tensor]
    graph: dict[str, Tensor]
    classifier: dict[str, Tensor]
    unused: list[str]


def split_published_state(state: Mapping[str, Tensor]) -> PublishedState:
    """Split a published state dict into embedder, graph and classifier.

    Raises:
        ValueError: If a key belongs to none of them; the message names the key.
    """
    parts = PublishedState({}, {}, {}, [])
    unused = re.compile(rf"gnn\.{_pattern(UNUSED_GRAPH)}\.(weight|bias)")
    for key, value in state.items():
        if unused.fullmatch(key):
            parts.unused.append(key)
        elif key.startswith("feature_extractor."):
            parts.embedder[key.removeprefix("feature_extractor.")] = value
        elif key.startswith("softmax_classifier."):
            parts.classifier[key.removeprefix("softmax_classifier.")] = value
        elif key.startswith("gnn."):
            parts.graph[graph_name(key.removeprefix("gnn."))] = value
        else:
            raise ValueError(f"Expected a key of a published GCA-HNG checkpoint (got {key!r})")
    return parts


def graph_name(published: str) -> str:
    """Return our name of a published parameter: `dim_red.weight` → `projection.weight`."""
    module, _, parameter = published.rpartition(".")
    for source, target in GRAPH_NAMES.items():
        if match := re.fullmatch(_pattern(source), module):
            layer = match["l"] if "{l}" in source else ""
            return f"{target.replace('{l}', layer)}.{parameter}"
    raise ValueError(f"Expected a key of a published graph network (got 'gnn.{published}')")


def _pattern(name: str) -> str:
    return re.escape(name).replace(re.escape("{l}"), r"(?P<l>\d+)")
