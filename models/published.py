"""Convert state dicts between the names of the authors' published checkpoints and ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
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
# The ImageNet classifier, which the published backbones contain but do not use.
UNUSED_HEADS = {"googlenet": "backbone.fc", "resnet50": "backbone.model.fc"}
HEAD_CLASSES = 1000
# Published backbone name → our name.
BACKBONE_NAMES = {"Googlenet": "googlenet", "Resnet50": "resnet50", "DINO": "dino_vits16"}


@dataclass(frozen=True)
class PublishedState:
    """A published state dict, split by module and renamed.

    Attributes:
        embedder: State of an `Embedder` (names below `backbone` and `fc` are unchanged).
        graph: State of a `CorrelationNetwork`.
        classifier: State of the linear classifier on embeddings.
        unused: Keys that the published code does not use.
    """

    embedder: dict[str, Tensor]
    graph: dict[str, Tensor]
    classifier: dict[str, Tensor]
    unused: list[str]


def split_published_state(state: Mapping[str, Tensor]) -> PublishedState:
    """Split a published state dict into embedder, graph and classifier.

    Raises:
        ValueError: If a key belongs to none of them; the message names the key.

    Example:
        >>> weight = torch.zeros(2, 2)
        >>> state = {"feature_extractor.fc.1.weight": weight, "gnn.dim_red.weight": weight}
        >>> parts = split_published_state(state)
        >>> list(parts.embedder), list(parts.graph)
        (['fc.1.weight'], ['projection.weight'])
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


def published_state(
    embedder: Mapping[str, Tensor],
    backbone: str,
    graph: Mapping[str, Tensor] | None = None,
    classifier: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Build a state dict with the published names, the inverse of `split_published_state`.

    Parameters that the published model contains but does not use (a linear layer in each graph
    layer, the ImageNet classifier) are filled with zeros.

    Args:
        embedder: State of an `Embedder`.
        backbone: Our name of its backbone, a value of `BACKBONE_NAMES`.
        graph: State of a `CorrelationNetwork` of `gca` layers; None leaves it out.
        classifier: State of the linear classifier on embeddings; None leaves it out.

    Raises:
        ValueError: If the published code has no such backbone, last layer or graph layer.
    """
    if "fc.0.weight" not in embedder:
        raise ValueError("The published format has no other last layer than embedder.head=linear")
    if backbone not in BACKBONE_NAMES.values():
        known = ", ".join(sorted(BACKBONE_NAMES.values()))
        raise ValueError(f"The published format has the backbones {known} (got {backbone!r})")
    state = {f"feature_extractor.{key}": value for key, value in embedder.items()}
    head, (width,) = UNUSED_HEADS.get(backbone), embedder["fc.0.weight"].shape
    if head is not None:
        state[f"feature_extractor.{head}.weight"] = torch.zeros(HEAD_CLASSES, width)
        state[f"feature_extractor.{head}.bias"] = torch.zeros(HEAD_CLASSES)
    for key, value in (graph or {}).items():
        state[f"gnn.{published_graph_name(key)}"] = value
        layer = re.fullmatch(r"layers\.(\d+)\.nodes\.out\.(weight|bias)", key)
        if layer:
            unused = UNUSED_GRAPH.replace("{l}", layer[1])
            state[f"gnn.{unused}.{layer[2]}"] = torch.zeros_like(value)
    return state | {f"softmax_classifier.{key}": value for key, value in (classifier or {}).items()}


def graph_name(published: str) -> str:
    """Return our name of a published parameter: `dim_red.weight` → `projection.weight`."""
    ours = _translate(published, GRAPH_NAMES)
    if ours is None:
        raise ValueError(f"Expected a key of a published graph network (got 'gnn.{published}')")
    return ours


def published_graph_name(ours: str) -> str:
    """Return the published name of our parameter: `projection.weight` → `dim_red.weight`."""
    published = _translate(ours, {name: key for key, name in GRAPH_NAMES.items()})
    if published is None:
        raise ValueError(f"The published format has no graph parameter {ours!r}")
    return published


def _translate(name: str, names: Mapping[str, str]) -> str | None:
    module, _, parameter = name.rpartition(".")
    for source, target in names.items():
        match = re.fullmatch(_pattern(source), module)
        if match:
            layer = match["l"] if "{l}" in source else ""
            return f"{target.replace('{l}', layer)}.{parameter}"
    return None


def _pattern(name: str) -> str:
    return re.escape(name).replace(re.escape("{l}"), r"(?P<l>\d+)")
