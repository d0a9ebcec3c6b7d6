"""What holds for every layer, whatever it computes."""

import pytest
import torch
from torch import nn

from gcahng.graph import CONVS, CorrelationNetwork, batch_graph, build_conv
from tests.graph.convs.samples import CHANNELS, EDGE_DIM, LABELS, NODES, complete, moved, sparse
from tests.graph.oracle import assert_near
from tests.graph.paths import CHANNELS as WIDTH
from tests.graph.paths import assert_paths_agree

SETTINGS = {"heads": 2, "edge_dropout": "off"}
every_layer = pytest.mark.parametrize("name", CONVS)
# One of each kind.
kinds_of_layers = pytest.mark.parametrize("name", ["gca", "mlp", "gatv2", "pna"])

# One constant on all scores of a softmax changes nothing.
WITHOUT_EFFECT = ("edges.key.bias", "transformer: operator.lin_key.bias")


def make(name: str) -> nn.Module:
    torch.manual_seed(0)
    return moved(build_conv(name, CHANNELS, EDGE_DIM, SETTINGS))


def network(name: str, layers: int) -> CorrelationNetwork:
    torch.manual_seed(0)
    return CorrelationNetwork(WIDTH, 3, layers, name, **SETTINGS)


@every_layer
def test_order_of_nodes(name: str) -> None:
    conv, (x, edge_index, edges) = make(name), sparse()
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    expected = conv(x, edge_index, edges, LABELS)
    permuted = conv(x[order], order.argsort()[edge_index], edges, LABELS[order])
    assert_near("nodes", permuted[0], expected[0][order], 1e-12)
    assert_near("edges", permuted[1], expected[1], 1e-12)


@every_layer
def test_order_of_edges(name: str) -> None:
    conv, (x, edge_index, edges) = make(name), sparse()
    order = torch.tensor([3, 7, 1, 0, 6, 2, 5, 4])
    expected = conv(x, edge_index, edges, LABELS)
    permuted = conv(x, edge_index[:, order], edges[order], LABELS)
    assert_near("nodes", permuted[0], expected[0], 1e-12)
    assert_near("edges", permuted[1], expected[1][order], 1e-12)


@every_layer
def test_symmetric_edges_stay_symmetric(name: str) -> None:
    edges = make(name)(*complete(), LABELS)[1].view(NODES, NODES, -1)
    assert_near("transposed", edges.transpose(0, 1), edges, 1e-13)


@every_layer
def test_every_parameter_has_a_finite_gradient(name: str) -> None:
    conv, (x, edge_index, edges) = make(name), complete()
    leaves = x.requires_grad_(), edges.requires_grad_()
    out = conv(x, edge_index, edges, LABELS)
    sum((part * torch.randn_like(part)).sum() for part in out).backward()
    for key, leaf in (*conv.named_parameters(), ("x", leaves[0]), ("edge_attr", leaves[1])):
        assert leaf.grad.isfinite().all(), key
        without_effect = f"{name}: {key}".endswith(WITHOUT_EFFECT)
        assert without_effect or leaf.grad.abs().max() > 1e-6, key


@every_layer
@pytest.mark.parametrize("training", [True, False])
def test_dense_path_equals_the_reference(name: str, training: bool) -> None:
    net = network(name, 2)
    if net.runs_on_pairs:
        assert_paths_agree(moved(net).train(training), 3, 2)


@every_layer
def test_dense_path_equals_the_reference_where_mirrored_edges_differ(name: str) -> None:
    torch.manual_seed(0)
    layers = [{"name": "gca", "args": {"edge_dropout": "independent", "dropout": 0.5}}, name]
    net = CorrelationNetwork(WIDTH, 3, layers, heads=2, edge_dropout="independent")
    if net.runs_on_pairs:
        assert_paths_agree(moved(net), 3, 2)


@kinds_of_layers
def test_bfloat16_autocast_comes_close(name: str) -> None:
    net, z = network(name, 1).eval(), torch.randn(NODES, WIDTH)
    for build in (batch_graph, net.build_graph):
        with torch.autocast("cpu", torch.bfloat16):
            out = net(build(z, LABELS))
        expected = net(build(z, LABELS))
        assert_near("nodes", out.x.float(), expected.x, 0.1)
        assert_near("eta", out.coefficients.float(), expected.coefficients, 0.1)
