import pytest
import torch
from torch import Tensor

from gcahng.graph.convs import GCAConv, GCANodeOnlyConv
from tests.graph import oracle
from tests.graph.convs.samples import CHANNELS, EDGE_DIM, LABELS, complete, moved, sparse


def make(heads: int = 2) -> GCANodeOnlyConv:
    torch.manual_seed(0)
    return moved(GCANodeOnlyConv(CHANNELS, EDGE_DIM, heads=heads))


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("labels", [LABELS, None], ids=["classes", "no classes"])
@pytest.mark.parametrize("graph", [complete, sparse])
def test_equals_the_loop(heads: int, labels: Tensor | None, graph: object) -> None:
    conv, inputs = make(heads), graph()
    x, edges = conv(*inputs, labels)
    oracle.assert_near("nodes", x, oracle.node_update(conv, *inputs, labels), 1e-12)
    assert torch.equal(edges, inputs[2])


def test_is_the_node_half_of_the_whole_layer() -> None:
    whole, half = moved(GCAConv(CHANNELS, EDGE_DIM, heads=2)), make()
    answer = half.load_state_dict(whole.state_dict(), strict=False)
    assert answer.missing_keys == []
    assert all(key.startswith(("node_to_edge", "edge_")) for key in answer.unexpected_keys)
    assert torch.equal(half(*complete(), LABELS)[0], whole(*complete(), LABELS)[0])


def test_repr() -> None:
    assert repr(GCANodeOnlyConv(8, 6, heads=4)) == "GCANodeOnlyConv(8, edge_dim=6, heads=4)"


def test_initial_weights() -> None:
    conv = GCANodeOnlyConv(64, 64)
    for linear in (conv.node_query, conv.node_key, conv.node_value, conv.node_out):
        bound = (6 / 128) ** 0.5
        assert linear.bias.eq(0).all()
        assert 0.95 * bound < linear.weight.abs().max() <= bound


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"heads": 4}, r"'in_channels' divisible by 4 heads \(got 6\)"),
        ({"heads": 3, "memory": "lwo"}, r"'memory' as auto, balanced or low \(got 'lwo'\)"),
    ],
)
def test_refuses_wrong_settings(args: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GCANodeOnlyConv(6, 8, **args)
