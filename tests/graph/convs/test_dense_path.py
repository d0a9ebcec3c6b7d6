import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph import CorrelationNetwork, PairGraph, batch_graph, pair_graph
from tests.graph.oracle import assert_near
from tests.graph.paths import CHANNELS, assert_paths_agree, batch


def make(layers: int = 1, **args: object) -> CorrelationNetwork:
    torch.manual_seed(0)
    args = {"heads": 2, "edge_dropout": "off", **args}
    net = CorrelationNetwork(CHANNELS, 7, layers, **args).double()
    for parameter in net.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
    return net


@pytest.mark.parametrize(("classes", "samples"), [(2, 2), (5, 3), (6, 2), (4, 4)])
@pytest.mark.parametrize("edge_dropout", ["off", "tied"])
@pytest.mark.usefixtures("chunk")
def test_equals_the_reference(classes: int, samples: int, edge_dropout: str) -> None:
    assert_paths_agree(make(2, edge_dropout=edge_dropout, dropout=0.4), classes, samples)


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize(("heads", "edge_heads"), [(1, 1), (4, 1), (2, 4)])
@pytest.mark.parametrize("training", [True, False])
def test_equals_the_reference_in_every_setting(
    layers: int, heads: int, edge_heads: int, training: bool
) -> None:
    net = make(layers, heads=heads, edge_heads=edge_heads, edge_dropout="tied", dropout=0.4)
    assert_paths_agree(net.train(training), 3, 2)


@pytest.mark.parametrize("memory", ["balanced", "low"])
def test_equals_the_reference_at_every_memory_setting(memory: str) -> None:
    assert_paths_agree(make(2, memory=memory), 3, 2)


def test_tied_dropout_does_drop() -> None:
    z, labels = batch(3, 2)
    outs = [make(edge_dropout=kind, dropout=0.4)(pair_graph(z, labels)) for kind in ("off", "tied")]
    assert (outs[0].channel_coefficients - outs[1].channel_coefficients).abs().max() > 1e-3


def test_independent_dropout_has_no_dense_path() -> None:
    z, labels = batch(3, 2)
    net = make(edge_dropout="independent", dropout=0.1)
    with pytest.raises(ValueError, match="use batch_graph instead of pair_graph"):
        net(pair_graph(z, labels))
    net.eval()(pair_graph(z, labels))


@pytest.mark.parametrize(
    ("edge_dropout", "dropout", "training", "kind"),
    [
        ("independent", 0.1, True, Data),
        ("independent", 0.1, False, PairGraph),
        ("independent", 0.0, True, PairGraph),
        ("tied", 0.1, True, PairGraph),
        ("off", 0.1, True, PairGraph),
    ],
)
def test_network_chooses_the_graph(
    edge_dropout: str, dropout: float, training: bool, kind: type
) -> None:
    net = make(edge_dropout=edge_dropout, dropout=dropout).train(training)
    graph = net.build_graph(*batch(3, 2))
    assert isinstance(graph, kind)
    assert net(graph).channel_coefficients.shape == (6, 6, CHANNELS)


@pytest.mark.parametrize("build", [pair_graph, batch_graph])
def test_bfloat16_autocast_comes_close(build: object) -> None:
    net, found = make(2).float(), []
    z, labels = batch(4, 3)
    for enabled in (True, False):
        leaf = z.detach().float().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out = net(build(leaf, labels))
        (gradient,) = torch.autograd.grad(out.node_logits.float().square().sum(), leaf)
        assert gradient.isfinite().all()
        found.append((out.channel_coefficients.float(), out.node_logits.float()))
    assert_near("coefficients", found[0][0], found[1][0], 0.15)
    assert_near("logits", found[0][1], found[1][1], 0.1)


def test_gradcheck() -> None:
    net = make(edge_heads=2).eval()
    z, labels = batch(2, 2)

    def run(z: Tensor) -> Tensor:
        out = net(pair_graph(z, labels))
        return torch.cat([out.channel_coefficients.flatten(), out.node_logits.flatten()])

    torch.autograd.gradcheck(run, z)
