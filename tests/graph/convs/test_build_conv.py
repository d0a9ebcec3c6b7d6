import pytest
import torch
from torch import Tensor, nn

from gcahng.graph.convs import CONVS, SETTINGS, GCAConv, LayerSpec, build_conv
from gcahng.graph.convs.gca_conv import EdgeUpdate, NodeUpdate

ALL = {"heads": 2, "edge_heads": 3, "dropout": 0.5, "edge_dropout": "off", "memory": "low"}


class Flexible(nn.Module):
    """A user's layer with an open end and an argument that must be given."""

    def __init__(self, in_channels: int, edge_dim: int, width: int, dropout: float, **args: object):
        super().__init__()
        self.given = {"width": width, "dropout": dropout, **args}

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> tuple[Tensor, Tensor]:
        return x, edge_attr


def test_by_name() -> None:
    assert repr(build_conv("gca", 8, 6)) == "GCAConv(8, edge_dim=6, heads=4, edge_heads=1)"
    assert CONVS.find("gca") is GCAConv


@pytest.mark.parametrize("name", CONVS)
def test_every_layer_takes_what_it_can_of_the_settings(name: str) -> None:
    assert tuple(ALL) == SETTINGS
    for part in build_conv(name, 8, 6, ALL).modules():
        edges = isinstance(part, EdgeUpdate)
        if edges or isinstance(part, NodeUpdate):
            assert part.heads == ALL["edge_heads" if edges else "heads"]
            assert part.memory == ALL["memory"]
        if edges:
            assert (part.dropout, part.edge_dropout) == (ALL["dropout"], ALL["edge_dropout"])


def test_own_arguments_come_before_settings() -> None:
    conv = build_conv(LayerSpec(name="gca", args={"heads": 4}), 8, 6, ALL)
    assert (conv.nodes.heads, conv.edges.heads) == (4, 3)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            {"name": "mlp", "args": {"heads": 2}},
            "layer 'mlp' takes no 'heads'; it takes no arguments",
        ),
        (
            {"name": "gca_node_only", "args": {"edge_heads": 2}},
            "layer 'gca_node_only' takes no 'edge_heads' .*; it takes heads, memory",
        ),
        (
            {"name": "gcn", "args": {"heads": 2}},
            "layer 'gcn' takes no 'heads'.*it takes edge_heads, .*normalize",
        ),
        (
            {"name": "gatv2", "args": {"share_weight": True}},
            r"'gatv2' takes no 'share_weight' \(did you mean 'share_weights'\?\); it takes .*heads",
        ),
        (
            {"name": "gat", "args": {"add_self_loops": True}},
            "layer 'gat' takes no 'add_self_loops'",
        ),
        (f"{__name__}:Flexible", "Flexible' needs 'width'"),
    ],
)
def test_arguments_that_a_layer_does_not_take(layer: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_conv(layer, 8, 6, ALL)


def test_open_end_takes_own_arguments_but_no_settings() -> None:
    conv = build_conv({"name": f"{__name__}:Flexible", "args": {"width": 3, "other": 4}}, 8, 6, ALL)
    assert conv.layer.given == {"width": 3, "dropout": 0.5, "other": 4}


def test_unknown_setting() -> None:
    with pytest.raises(ValueError, match=r"takes no 'hedas' \(did you mean 'heads'\?\)"):
        build_conv("gca", 8, 6, {"hedas": 2})


def test_unknown_layer() -> None:
    with pytest.raises(ValueError, match=r"'gatv3' \(did you mean 'gatv2'\?\)") as info:
        build_conv("gatv3", 8, 8)
    assert all(name in str(info.value) for name in (*CONVS, "module.path:ClassName"))


def test_layers_share_no_parameters() -> None:
    first, second = build_conv("gine", 8, 8), build_conv("gine", 8, 8)
    assert not {map(id, first.parameters())} & {map(id, second.parameters())}
    assert isinstance(first(torch.randn(1, 8), torch.zeros(2, 1).long(), torch.randn(1, 8)), tuple)
