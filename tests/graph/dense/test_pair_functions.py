import copy

import pytest
import torch
from torch import Tensor, nn

from gcahng.graph.dense.pairs import (
    Pairs,
    endpoint_product,
    gelu_sum,
    pair_spread,
    pair_standardize,
    unordered_pairs,
)
from tests.graph.oracle import assert_near, gelu
from tests.graph.pair_samples import every_kind

SIZE, CHANNELS = 5, 3
memories = pytest.mark.parametrize("memory", ["balanced", "low", "auto"])
pytestmark = pytest.mark.usefixtures("chunk")


@pytest.fixture(params=every_kind(SIZE).values(), ids=every_kind(SIZE))
def pairs(request: pytest.FixtureRequest) -> Pairs:
    return request.param


def values(pairs: Pairs, scale: float = 2.0) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(pairs.row.numel(), CHANNELS, dtype=torch.float64) * scale + 1


def gelu_inputs(pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(4)
    weight, bias = torch.randn(2, CHANNELS).double(), torch.randn(2).double()
    return values(pairs).requires_grad_(), weight.requires_grad_(), bias.requires_grad_()


def test_endpoint_product_equals_plain_autograd_to_the_last_bit() -> None:
    pairs = unordered_pairs(SIZE, torch.device("cpu"))
    torch.manual_seed(5)
    nodes = torch.randn(SIZE, CHANNELS, requires_grad=True)
    weights, found = torch.randn(len(pairs.row), CHANNELS), []
    for out in (
        endpoint_product(nodes, pairs),
        nodes.index_select(0, pairs.row) * nodes.index_select(0, pairs.col),
    ):
        found.append((out, *torch.autograd.grad((out * weights).sum(), nodes)))
    assert all(map(torch.equal, *found))


@memories
def test_gelu_sum_equals_the_loop(pairs: Pairs, memory: str) -> None:
    edges, weight, bias = gelu_inputs(pairs)
    dense = pairs.to_dense(gelu(edges @ weight.t() + bias))
    expected = torch.stack([sum(dense[i, j] for j in range(SIZE)) for i in range(SIZE)])
    found, weights = [], torch.randn_like(expected)
    for out in (gelu_sum(edges, weight, bias, pairs, memory), expected):
        found.append((out, *torch.autograd.grad((out * weights).sum(), (edges, weight, bias))))
    for number, (ours, loop) in enumerate(zip(*found, strict=True)):
        assert_near(str(number), ours, loop, 1e-13)


def test_spread_equals_the_loop(pairs: Pairs) -> None:
    v = values(pairs)
    total, dense = 0.0, pairs.to_dense(v)
    for i in range(SIZE):
        mean = sum(dense[i, j] for j in range(SIZE)) / SIZE
        total = total + sum((dense[i, j] - mean).square().sum() for j in range(SIZE))
    assert_near("spread", pair_spread(v, pairs), total.sqrt(), 1e-13)


def test_spread_of_equal_values_has_a_finite_gradient(pairs: Pairs) -> None:
    v = torch.full_like(values(pairs), 0.5).requires_grad_()
    spread = pair_spread(v, pairs)
    spread.backward()
    assert spread == 0
    assert v.grad.eq(0).all()


def test_gradcheck(pairs: Pairs) -> None:
    norm = nn.BatchNorm1d(CHANNELS).double()
    torch.autograd.gradcheck(lambda *x: gelu_sum(*x, pairs, "low"), gelu_inputs(pairs))
    torch.autograd.gradcheck(lambda v: pair_spread(v, pairs), values(pairs).requires_grad_())
    torch.autograd.gradcheck(
        lambda v: pair_standardize(norm, v, pairs), values(pairs).requires_grad_()
    )


def _affine(norm: nn.BatchNorm1d, standardized: Tensor) -> Tensor:
    return standardized * norm.weight + norm.bias


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("scale", [2.0, 1e-3])
def test_standardize_equals_batch_norm_over_all_edges(
    pairs: Pairs, training: bool, scale: float
) -> None:
    torch.manual_seed(1)
    ours = nn.BatchNorm1d(CHANNELS).double().train(training)
    for tensor in (ours.weight, ours.bias, ours.running_mean, ours.running_var):
        tensor.data.uniform_(0.5, 1.5)
    plain = copy.deepcopy(ours)
    half, full = (values(pairs, scale).requires_grad_() for _ in range(2))
    weights = torch.randn(SIZE**2, CHANNELS, dtype=torch.float64)
    for _ in range(2):
        out = _affine(ours, pair_standardize(ours, half, pairs))
        out = pairs.to_dense(out).flatten(0, 1)
        expected = plain(pairs.to_dense(full).flatten(0, 1))
        assert_near("output", out, expected, 1e-12)
        (out * weights).sum().backward()
        (expected * weights).sum().backward()
    assert_near("values", half.grad, full.grad, 1e-11)
    assert_near("weight", ours.weight.grad, plain.weight.grad, 1e-12)
    assert_near("running mean", ours.running_mean, plain.running_mean, 1e-14)
    assert_near("running variance", ours.running_var, plain.running_var, 1e-14)
    assert ours.num_batches_tracked == plain.num_batches_tracked == (2 if training else 0)
