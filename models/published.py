"""Names in the authors' published checkpoints, and what they are called here."""

import re
from dataclasses import dataclass

from torch import Tensor

# The graph's modules: published name → ours, {l} the layer's number.
GRAPH_NAMES = {
    r"dim_red": "projection",
    r"gnn\.(\d+)\.node_model\.layers\.0\.att\.q_linear": r"layers.\1.node_query",
    r"gnn\.(\d+)\.node_model\.layers\.0\.att\.k_linear": r"layers.\1.node_key",
    r"gnn\.(\d+)\.node_model\.layers\.0\.att\.v_linear": r"layers.\1.node_value",
    r"gnn\.(\d+)\.node_model\.layers\.0\.att\.out": r"layers.\1.node_out",
    r"gnn\.(\d+)\.node_model\.layers\.0\.edge_to_node": r"layers.\1.edge_to_node",
    r"gnn\.(\d+)\.node_model\.layers\.0\.linear1": r"layers.\1.node_ffn.0",
    r"gnn\.(\d+)\.node_model\.layers\.0\.linear2": r"layers.\1.node_ffn.2",
    r"gnn\.(\d+)\.node_model\.layers\.0\.norm\.1": r"layers.\1.node_norm",
    r"gnn\.(\d+)\.edge_model\.node_to_edge": r"layers.\1.node_to_edge",
    r"gnn\.(\d+)\.edge_model\.att\.q_linear": r"layers.\1.edge_query",
    r"gnn\.(\d+)\.edge_model\.att\.k_linear": r"layers.\1.edge_key",
    r"gnn\.(\d+)\.edge_model\.att\.v_linear": r"layers.\1.edge_value",
    r"gnn\.(\d+)\.edge_model\.linear\.(\d+)": r"layers.\1.edge_ffn.\2",
    r"gnn\.(\d+)\.edge_model\.norm\.1": r"layers.\1.edge_norm",
    r"bottleneck1\.0": "coefficient_norm",
    r"fc\.0": "coefficient_head",
    r"bottleneck2\.0": "class_norm",
    r"cls\.0": "class_head",
}
# A linear map that every published checkpoint carries and no published code path uses.
UNUSED = re.compile(r"gnn\.gnn\.\d+\.node_model\.layers\.0\.update_node\.(weight|bias)")


@dataclass(frozen=True)
class PublishedState:
    """A published state dict taken apart, under this project's names.

    Attributes:
        embedder: For `Embedder` (backbone and fc keep their published names).
        graph: For `CorrelationNetwork`.
        classifier: For the linear classifier on embeddings.
        unused: Keys that nothing uses.
    """

    embedder: dict[str, Tensor]
    graph: dict[str, Tensor]
    classifier: dict[str, Tensor]
    unused: list[str]


def split_published_state(state: dict[str, Tensor]) -> PublishedState:
    """Sort a published state dict into embedder, graph and classifier.

    Raises:
        ValueError: If a key belongs to none of them; the message names it.
    """
    parts = PublishedState({}, {}, {}, [])
    for key, value in state.items():
        if UNUSED.fullmatch(key):
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
    """Our name of a published graph parameter, e.g. `dim_red.weight` → `projection.weight`."""
    module, _, parameter = published.rpartition(".")
    for pattern, ours in GRAPH_NAMES.items():
        match = re.fullmatch(pattern, module)
        if match:
            return f"{match.expand(ours)}.{parameter}"
    raise ValueError(f"Expected a key of a published graph network (got 'gnn.{published}')")
