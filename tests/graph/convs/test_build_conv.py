from typing import Any

import pytest
from torch import Tensor, nn

from gcahng.graph.convs import CONVS, SETTINGS, LayerSpec, build_conv
from gcahng.graph.convs.gca_conv import EdgeUpdate, NodeUpdate

ALL = {"heads": 2, "edge_heads": 3, "dropout": 0.5, "edge_dropout": "off", "memory": "low"}


class Flexible(nn.Module):
    """A user's layer with an open end and an argument that must be given."""

    def __init__(self, in_channels: int, edge_dim: int, width: int, dropout: float, **args: object):
        super().__init__()
        self.given = {"width": width, "dropout": dropout, **args}

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> tuple[Tensor, Tensor]:
        return x, edge_attr


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
    ("name", "args", "message"),
    [
        ("mlp", {"heads": 2}, "layer 'mlp' takes no 'heads'; it takes no arguments"),
        ("gca_node_only", {"edge_heads": 2}, "takes no 'edge_heads' .*; it takes heads, memory"),
        ("gcn", {"heads": 2}, "takes no 'heads'.*it takes edge_heads, .*normalize"),
        ("gatv2", {"share_weight": True}, "did you mean 'share_weights'"),
        ("gat", {"add_self_loops": True}, "takes no 'add_self_loops'"),
        (f"{__name__}:Flexible", {}, "Flexible' needs 'width'"),
    ],
)
def test_arguments_that_a_layer_does_not_take(name: str, args: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_conv({"name": name, "args": args}, 8, 6, ALL)


def test_unknown_setting_and_layer() -> None:
    with pytest.raises(ValueError, match=r"takes no 'hedas' \(did you mean 'heads'\?\)"):
        build_conv("gca", 8, 6, {"hedas": 2})
    with pytest.raises(ValueError, match=r"'gatv3' \(did you mean 'gatv2'\?\)") as info:
        build_conv("gatv3", 8, 8)
    assert all(name in str(info.value) for name in (*CONVS, "module.path:ClassName"))
