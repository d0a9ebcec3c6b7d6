"""Message-passing layers with the contract (x, edge_index, edge_attr, y) → (x, edge_attr)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from typing_extensions import NotRequired, TypedDict

from gcahng.arguments import arguments_of, check_names
from gcahng.registry import Registry, imported_on_use, names_class

if TYPE_CHECKING:
    from torch import nn

    from gcahng.graph.convs.gca_conv import GCAConv, GCAEdgeOnlyConv, GCANodeOnlyConv
    from gcahng.graph.convs.mlp_conv import MLPConv, NoneConv
    from gcahng.graph.convs.pyg_conv import PyGConv
else:
    __getattr__ = imported_on_use(__name__)

# The operators of PyTorch Geometric that fit a complete graph with edge features: layer → class.
# Left out are those for node or edge types (`RGATConv`), positions (`PointNetConv`), several hops
# (`TAGConv`), with weights per degree (`MFConv`) or per edge (`NNConv`), or with extra losses or
# inputs (`SuperGATConv`, `FAConv`).
OPERATORS = {
    "cg": "CGConv",
    "film": "FiLMConv",
    "gat": "GATConv",
    "gatv2": "GATv2Conv",
    "gcn": "GCNConv",
    "gen": "GENConv",
    "general": "GeneralConv",
    "gine": "GINEConv",
    "graph": "GraphConv",
    "pdn": "PDNConv",
    "pna": "PNAConv",
    "res_gated": "ResGatedGraphConv",
    "sage": "SAGEConv",
    "transformer": "TransformerConv",
}
CONVS: "Registry[Callable[..., nn.Module]]" = Registry(
    "layer",
    {
        "gca": "gcahng.graph.convs.gca_conv:GCAConv",
        "gca_edge_only": "gcahng.graph.convs.gca_conv:GCAEdgeOnlyConv",
        "gca_node_only": "gcahng.graph.convs.gca_conv:GCANodeOnlyConv",
        "mlp": "gcahng.graph.convs.mlp_conv:MLPConv",
        "none": "gcahng.graph.convs.mlp_conv:NoneConv",
        **{
            name: ("gcahng.graph.convs.pyg_conv:PyGConv", found)
            for name, found in OPERATORS.items()
        },
    },
    user_base="torch.nn:Module",
)
# Arguments that the layers of a network share; each layer gets those that it accepts.
SETTINGS = ("heads", "edge_heads", "dropout", "edge_dropout", "memory")

__all__ = [
    "CONVS",
    "SETTINGS",
    "GCAConv",
    "GCAEdgeOnlyConv",
    "GCANodeOnlyConv",
    "Layer",
    "LayerSpec",
    "MLPConv",
    "NoneConv",
    "PyGConv",
    "build_conv",
    "layer_arguments",
]


class LayerSpec(TypedDict):
    """A layer by name, a key of `CONVS` or `module.path:ClassName`, with arguments of its own."""

    name: str
    args: NotRequired[Mapping[str, Any]]


Layer: TypeAlias = str | LayerSpec


def build_conv(
    layer: Layer, in_channels: int, edge_dim: int, settings: Mapping[str, Any] | None = None
) -> "nn.Module":
    """Build a layer.

    Args:
        layer: Its name, or a `LayerSpec` of name and arguments.
        in_channels: Node channels.
        edge_dim: Edge channels.
        settings: Values for some of `SETTINGS`; those that the layer does not accept are ignored,
            and the layer's own arguments take precedence.

    Example:
        >>> build_conv("gca", 8, 8, {"heads": 2})
        GCAConv(8, edge_dim=8, heads=2, edge_heads=1)
        >>> build_conv({"name": "gca", "args": {"head": 2}}, 8, 8)
        Traceback (most recent call last):
        ...
        ValueError: layer 'gca' takes no 'head' (did you mean 'heads'?); it takes heads, ...
    """
    name, args = (layer, {}) if isinstance(layer, str) else (layer["name"], layer.get("args", {}))
    settings = settings or {}
    check_names("a network of layers", settings, SETTINGS)
    takes = layer_arguments(name)
    if name in OPERATORS:
        # These layers take `**args`; the signature of PyG's layer tells which ones are valid.
        check_names(f"layer {name!r}", args, takes)
    arguments = {key: value for key, value in settings.items() if key in takes} | dict(args)
    conv: nn.Module = CONVS.build(name, in_channels, edge_dim, **arguments)
    if not names_class(name):
        return conv
    from gcahng.graph.convs.user_conv import UserConv

    return UserConv(name, conv)


def layer_arguments(name: str) -> list[str]:
    """Return the names of a layer's arguments after its two widths."""
    if name in OPERATORS:
        from gcahng.graph.convs.pyg_conv import operator_arguments

        return operator_arguments(OPERATORS[name])
    return list(arguments_of(CONVS.find(name))[0])[2:]
