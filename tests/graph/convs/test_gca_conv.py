import pytest
import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from gcahng.graph.convs import GCAConv, GCAEdgeOnlyConv, GCANodeOnlyConv
from tests.graph import oracle
from tests.graph.convs.samples import CHANNELS, EDGE_DIM, LABELS, NODES, complete, moved, sparse


def make(edge_dropout: str = "off", **args: object) -> GCAConv:
    torch.manual_seed(0)
    args = {"heads": 2, "edge_heads": 1, **args}
    return moved(GCAConv(CHANNELS, EDGE_DIM, edge_dropout=edge_dropout, **args))


LAYERS = {
    "whole": lambda: make(),
    "more heads": lambda: make(heads=4, edge_heads=3),
    "one head": lambda: make(heads=1),
    "nodes": lambda: moved(GCANodeOnlyConv(CHANNELS, EDGE_DIM, heads=4)),
    "edges": lambda: moved(GCAEdgeOnlyConv(CHANNELS, EDGE_DIM, edge_heads=3, edge_dropout="off")),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("labels", [LABELS, None], ids=["classes", "no classes"])
@pytest.mark.parametrize("graph", [complete, sparse])
def test_equals_the_loop(name: str, labels: Tensor | None, graph: object) -> None:
    conv, inputs = LAYERS[name](), graph()
    x, edges = conv(*inputs, labels)
    expected = oracle.layer(conv, *inputs, labels)
    oracle.assert_near("nodes", x, expected[0], 1e-12)
    oracle.assert_near("edges", edges, expected[1], 1e-12)


def test_every_gradient_equals_the_loops() -> None:
    conv = make(edge_heads=2)
    weights = torch.randn(NODES, CHANNELS).double(), torch.randn(NODES**2, EDGE_DIM).double()
    found = []
    for run in (conv, lambda *graph: oracle.layer(conv, *graph)):
        x, edge_index, edges = complete()
        leaves = [x.requires_grad_(), edges.requires_grad_(), *conv.parameters()]
        outputs = run(x, edge_index, edges, LABELS)
        loss = sum((w * out).sum() for w, out in zip(weights, outputs, strict=True))
        found.append(torch.autograd.grad(loss, leaves))
    names = ["x", "edge_attr", *(name for name, _ in conv.named_parameters())]
    for name, ours, expected in zip(names, *found, strict=True):
        oracle.assert_near(name, ours, expected)
        # The same constant on both scores of a two-way softmax changes nothing.
        assert name == "edges.key.bias" or ours.abs().max() > 1e-6, name


def test_kind_and_repr() -> None:
    conv = GCAConv(8, 6)
    assert all(isinstance(part, MessagePassing) for part in (conv.nodes, conv.edges))
    assert repr(GCAConv(8, 6, 4, edge_heads=3)) == "GCAConv(8, edge_dim=6, heads=4, edge_heads=3)"
    assert repr(GCANodeOnlyConv(8, 6, heads=4)) == "GCANodeOnlyConv(8, edge_dim=6, heads=4)"
    assert repr(GCAEdgeOnlyConv(8, 6, edge_heads=3)) == (
        "GCAEdgeOnlyConv(8, edge_dim=6, edge_heads=3)"
    )


def test_huge_scores_stay_finite() -> None:
    conv, (x, edge_index, edges) = make(), complete()
    x = (1e4 * x).requires_grad_()
    out, _ = conv(x, edge_index, edges, LABELS)
    out.sum().backward()
    assert conv.nodes.attention(x, edge_index, LABELS).isfinite().all()
    assert out.isfinite().all()
    assert x.grad.isfinite().all()


def _asymmetry(conv: GCAConv) -> float:
    torch.manual_seed(0)
    edges = conv(*complete(), LABELS)[1].view(NODES, NODES, -1)
    return (edges - edges.transpose(0, 1)).abs().max().item()


@pytest.mark.parametrize("edge_heads", [1, 2])
def test_dropout_draws_once_for_both_directions_if_tied(edge_heads: int) -> None:
    tied = make("tied", dropout=0.5, edge_heads=edge_heads)
    independent = make("independent", dropout=0.5, edge_heads=edge_heads)
    assert _asymmetry(tied) < 1e-13
    assert _asymmetry(independent) > 1e-3
    assert _asymmetry(independent.eval()) < 1e-13


def test_tied_dropout_on_a_sparse_graph_ties_the_reversed_edge() -> None:
    conv = make("tied", dropout=0.5)
    x, edge_index, edges = sparse()
    edges[1] = edges[0]  # 0 → 1 and 1 → 0
    for seed in range(5):
        torch.manual_seed(seed)
        out = conv(x, edge_index, edges, LABELS)[1]
        oracle.assert_near("reversed", out[1], out[0], 1e-13)


@pytest.mark.parametrize(
    ("sizes", "args", "message"),
    [
        ((6, 8), {"heads": 4}, r"'in_channels' divisible by 4 heads \(got 6\)"),
        ((8, 6), {"edge_heads": 4}, r"'edge_dim' divisible by 4 heads \(got 6\)"),
        ((8, 8), {"edge_dropout": "some"}, "tied, independent or off .*'some'"),
        ((8, 8), {"memory": "lwo"}, "'memory'"),
    ],
)
def test_refuses_wrong_settings(
    sizes: tuple[int, int], args: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        GCAConv(*sizes, **args)
