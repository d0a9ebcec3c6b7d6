import dataclasses

import pytest
import torch
from torch import Tensor

from gcahng.graph import CorrelationNetwork, batch_graph, pair_graph
from tests.graph.paths import CHANNELS, assert_paths_agree, batch


def make(layers: object = 1, **args: object) -> CorrelationNetwork:
    torch.manual_seed(0)
    args = {"heads": 2, "edge_dropout": "off", **args}
    net = CorrelationNetwork(CHANNELS, 7, layers, **args).double()
    for parameter in net.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
    return net


@pytest.mark.parametrize(("classes", "samples"), [(2, 2), (5, 3), (6, 2), (4, 4)])
@pytest.mark.parametrize("edge_dropout", ["off", "tied", "independent"])
@pytest.mark.usefixtures("chunk")
def test_equals_the_reference(classes: int, samples: int, edge_dropout: str) -> None:
    assert_paths_agree(make(2, edge_dropout=edge_dropout, dropout=0.4), classes, samples)


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize(("heads", "edge_heads"), [(1, 1), (4, 1), (2, 4)])
@pytest.mark.parametrize("edge_dropout", ["tied", "independent"])
@pytest.mark.parametrize("training", [True, False])
def test_equals_the_reference_in_every_setting(
    layers: int, heads: int, edge_heads: int, edge_dropout: str, training: bool
) -> None:
    heads_and_dropout = {"edge_heads": edge_heads, "edge_dropout": edge_dropout, "dropout": 0.4}
    net = make(layers, heads=heads, **heads_and_dropout)
    assert_paths_agree(net.train(training), 3, 2)


@pytest.mark.parametrize("memory", ["balanced", "low"])
@pytest.mark.parametrize("edge_dropout", ["off", "independent"])
def test_equals_the_reference_at_every_memory_setting(memory: str, edge_dropout: str) -> None:
    assert_paths_agree(make(2, memory=memory, edge_dropout=edge_dropout), 3, 2)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.usefixtures("chunk")
def test_independent_dropout_equals_the_reference_at_every_rate(rate: float) -> None:
    assert_paths_agree(make(3, edge_dropout="independent", dropout=rate), 5, 3)


def test_independent_dropout_stores_equal_edges_once() -> None:
    torch.manual_seed(0)
    z, labels = batch(10, 3)
    net = make(2, edge_dropout="independent", dropout=0.1)
    torch.manual_seed(3)
    out = net(net.build_graph(z, labels))
    torch.manual_seed(3)
    edges = net(batch_graph(z, labels)).channel_coefficients
    mirrored = (edges - edges.transpose(0, 1)).abs().amax(-1) < 1e-12
    assert len(out.coefficients) == 30**2 - mirrored.triu(1).sum()
    assert 465 < len(out.coefficients) < 900


def test_pairs_that_separate_are_not_shared_between_processes() -> None:
    graph, net = pair_graph(*batch(3, 2)), make(edge_dropout="independent")
    shared = dataclasses.replace(graph.pairs, group=object())
    with pytest.raises(ValueError, match="pair_graph without a group"):
        net.layers[0].pair_edges(graph.x, shared, graph.edge_attr)


def test_gradcheck() -> None:
    net = make(edge_heads=2).eval()
    z, labels = batch(2, 2)

    def run(z: Tensor) -> Tensor:
        out = net(pair_graph(z, labels))
        return torch.cat([out.channel_coefficients.flatten(), out.node_logits.flatten()])

    torch.autograd.gradcheck(run, z)
