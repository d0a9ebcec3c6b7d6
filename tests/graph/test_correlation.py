import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph import Correlation, CorrelationNetwork, PairGraph, batch_graph, pair_graph
from tests.graph import oracle

CHANNELS, CLASSES = 6, 5
LABELS = torch.arange(3).repeat(2)
both_paths = pytest.mark.parametrize("build", [batch_graph, pair_graph])
Build = Callable[[Tensor, Tensor], object]


def make(layers: object = 1, **args: object) -> CorrelationNetwork:
    torch.manual_seed(0)
    args = {"heads": 2, "edge_dropout": "off", **args}
    return CorrelationNetwork(CHANNELS, CLASSES, layers, **args).double()


def embeddings() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(6, CHANNELS, dtype=torch.float64)


@both_paths
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_equals_the_loop(build: Build, layers: int) -> None:
    net = make(layers, edge_heads=2)
    net.coefficient_norm.weight.data.uniform_(0.5, 2)
    expected_net = copy.deepcopy(net)
    for _ in range(2):
        out = net(build(embeddings(), LABELS))
        eta, logits = oracle.network(expected_net, embeddings(), LABELS)
    oracle.assert_near("coefficients", out.channel_coefficients, eta, 1e-12)
    oracle.assert_near("logits", out.node_logits, logits, 1e-12)
    for (name, ours), expected in zip(net.named_buffers(), expected_net.buffers(), strict=True):
        oracle.assert_near(name, ours.double(), expected.double(), 1e-12)
        assert not name.endswith("tracked") or ours == 2


@both_paths
def test_coefficients_lie_between_0_and_1_and_are_symmetric(build: Build) -> None:
    eta = make(2)(build(embeddings(), LABELS)).channel_coefficients
    assert eta.shape == (6, 6, CHANNELS)
    assert eta.gt(0).all()
    assert eta.lt(1).all()
    oracle.assert_near("transposed", eta.transpose(0, 1), eta, 1e-13)


@both_paths
def test_permutation_of_the_samples(build: Build) -> None:
    net, z, order = make(2), embeddings(), torch.tensor([4, 0, 5, 2, 1, 3])
    out = net(build(z, LABELS))
    permuted = net(build(z[order], LABELS[order]))
    expected = out.channel_coefficients[order][:, order]
    oracle.assert_near("coefficients", permuted.channel_coefficients, expected, 1e-12)
    oracle.assert_near("logits", permuted.node_logits, out.node_logits[order], 1e-12)


def _run(build: Build, detach: bool) -> tuple[CorrelationNetwork, Correlation, Tensor]:
    net, z = make(2), embeddings().requires_grad_()
    out = net(build(z, LABELS), detach_coefficients=detach)
    torch.nn.functional.cross_entropy(out.node_logits, LABELS).backward()
    return net, out, z.grad


@both_paths
def test_detached_coefficients(build: Build) -> None:
    net, out, gradient = _run(build, detach=True)
    kept, kept_out, kept_gradient = _run(build, detach=False)
    assert not out.channel_coefficients.requires_grad
    assert kept_out.channel_coefficients.requires_grad
    assert net.coefficient_head.weight.grad is None
    assert net.coefficient_norm.weight.grad is None
    oracle.assert_near("coefficients", out.channel_coefficients, kept_out.channel_coefficients)
    oracle.assert_near("z", gradient, kept_gradient)
    for (name, ours), expected in zip(net.named_parameters(), kept.parameters(), strict=True):
        assert (ours.grad is None) == (expected.grad is None), name
        if ours.grad is not None:
            oracle.assert_near(name, ours.grad, expected.grad)
    # The node logits need every edge update but the last.
    assert net.layers[0].edges.ffn[0].weight.grad is not None
    assert net.layers[1].edges.ffn[0].weight.grad is None
    # The running statistics move all the same.
    for (name, ours), expected in zip(net.named_buffers(), kept.buffers(), strict=True):
        assert torch.equal(ours, expected), name
    assert net.coefficient_norm.num_batches_tracked == 1


@both_paths
def test_eval_mode_uses_and_keeps_the_running_statistics(build: Build) -> None:
    net = make()
    net(build(embeddings() + 3, LABELS))
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    trained = net(build(embeddings(), LABELS)).channel_coefficients
    net.load_state_dict(before, strict=False)
    out = net.eval()(build(embeddings(), LABELS))
    for name, buffer in net.named_buffers():
        assert torch.equal(buffer, before[name]), name
    assert (out.channel_coefficients - trained).abs().max() > 1e-3
    rows = (out.edge_attr - before["coefficient_norm.running_mean"]) / (
        before["coefficient_norm.running_var"] + 1e-5
    ).sqrt()
    eta = net.coefficient_head(rows).sigmoid()
    if build is batch_graph:
        oracle.assert_near("coefficients", out.channel_coefficients.flatten(0, 1), eta, 1e-12)
    else:
        pairs = pair_graph(embeddings(), LABELS).pairs
        oracle.assert_near("coefficients", out.channel_coefficients, pairs.to_dense(eta), 1e-12)


def test_layers_one_by_one() -> None:
    net = CorrelationNetwork(
        6, 3, ["gca", {"name": "gatv2", "args": {"share_weights": True}}, "none"], heads=2
    )
    first, second, third = net.layers
    assert (repr(first), repr(third)) == (
        "GCAConv(6, edge_dim=6, heads=2, edge_heads=1)",
        "NoneConv(6, edge_dim=6)",
    )
    assert second.operator.share_weights
    assert second.operator.heads == 2


class SparseOnly(torch.nn.Module):
    """A layer as users write them."""

    def __init__(self, in_channels: int, edge_dim: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> tuple[Tensor, Tensor]:
        return x + 1, edge_attr + 1


def test_one_layer_without_a_dense_path_makes_all_run_sparse() -> None:
    net = make(["none", f"{__name__}:SparseOnly"])
    graph = net.build_graph(embeddings(), LABELS)
    assert isinstance(graph, Data)
    assert torch.equal(net(graph).edge_attr, graph.edge_attr + 1)
    assert isinstance(make(["none", "gatv2"]).build_graph(embeddings(), LABELS), PairGraph)


def test_layer_without_a_dense_path_refuses_pairs() -> None:
    net = make([f"{__name__}:SparseOnly"])
    with pytest.raises(ValueError, match=r"UserConv\(.*:SparseOnly'\)[^;]*; use batch_graph"):
        net(pair_graph(embeddings(), LABELS))
