from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gcahng.losses import linear_cross_entropy as chunked
from gcahng.losses.linear_cross_entropy import chunked_cross_entropy, linear_cross_entropy
from gcahng.training.measure_step import tensor_peak_mib
from tests.graph.oracle import assert_near

CPU = torch.device("cpu")
ROWS, CLASSES, CHANNELS = 23, 7, 5
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 4 rows, the last one shorter."""
    monkeypatch.setattr(chunked, "CHUNK", 4 * CLASSES + 1)


@pytest.fixture(params=["inputs", "classifier", "all"])
def trained(request: pytest.FixtureRequest) -> list[bool]:
    return {
        "inputs": [True, False, False],
        "classifier": [False, True, True],
        "all": [True, True, True],
    }[request.param]


def reference(inputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(inputs, weight, bias).float(), targets, reduction="none")


def in_float64(inputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(inputs, weight, bias), targets, reduction="none")


def sample(
    trained: list[bool], dtype: torch.dtype = torch.float64
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Inputs, weight and bias; targets; weights of the losses, some of them 0."""
    torch.manual_seed(0)
    shapes = (ROWS, CHANNELS), (CLASSES, CHANNELS), (CLASSES,)
    tensors = [torch.randn(shape, dtype=dtype) for shape in shapes]
    tensors = [t.requires_grad_(wanted) for t, wanted in zip(tensors, trained, strict=True)]
    return tensors, torch.randint(CLASSES, (ROWS,)), torch.rand(ROWS).round(decimals=1)


def gradients(
    loss: Loss, tensors: list[Tensor], targets: Tensor, factors: Tensor
) -> tuple[Tensor, ...]:
    losses = loss(*tensors, targets)
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    return losses, *torch.autograd.grad((losses * factors).sum(), wanted)


def test_losses_and_gradients_are_those_of_two_steps(trained: list[bool]) -> None:
    tensors, targets, factors = sample(trained)
    expected = gradients(in_float64, tensors, targets, factors)
    found = gradients(chunked_cross_entropy, tensors, targets, factors)
    for ours, theirs in zip(found, expected, strict=True):
        assert_near("loss or gradient", ours, theirs, 1e-12)


def test_gradcheck(trained: list[bool]) -> None:
    tensors, targets, _ = sample(trained)
    torch.autograd.gradcheck(lambda *args: chunked_cross_entropy(*args, targets), tensors)


def test_autocast_computes_the_products_in_bfloat16(trained: list[bool]) -> None:
    tensors, targets, factors = sample(trained, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        expected = gradients(reference, tensors, targets, factors)
        found = gradients(chunked_cross_entropy, tensors, targets, factors)
    exact = gradients(reference, tensors, targets, factors)
    torch.testing.assert_close(found[0], expected[0])
    for ours, theirs, unrounded in zip(found, expected, exact, strict=True):
        assert ours.dtype == torch.float32
        scale = unrounded.abs().max()
        assert 1e-4 < (ours - unrounded).abs().max() / scale < 0.03
        assert (ours - theirs).abs().max() / scale < 0.02


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_few_logits_take_the_two_steps(reduction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors, targets, _ = sample([True] * 3, torch.float32)
    inputs = tensors[0].unflatten(0, (1, ROWS))
    few = linear_cross_entropy(inputs, *tensors[1:], targets, reduction)
    logits = F.linear(*tensors)
    assert torch.equal(few, F.cross_entropy(logits, targets, reduction=reduction))
    monkeypatch.setattr(chunked, "LARGE", ROWS * CLASSES - 1)
    many = linear_cross_entropy(inputs, *tensors[1:], targets, reduction)
    assert_near("losses", many, few, 1e-6)


def test_memory_is_that_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "CHUNK", 2**14)
    inputs = torch.randn(500, CHANNELS, requires_grad=True)
    weight, bias, targets = torch.randn(1000, CHANNELS), torch.zeros(1000), torch.arange(500)

    def run(loss: Loss) -> None:
        loss(inputs, weight, bias, targets).sum().backward()

    peaks = []
    for loss in (reference, chunked_cross_entropy):
        run(loss)
        peaks.append(tensor_peak_mib(partial(run, loss), CPU))
    assert peaks[0] > 2 * 2
    assert peaks[1] < 0.3


def test_on_a_device_whose_values_the_host_cannot_read() -> None:
    shapes = (ROWS, CHANNELS), (CLASSES, CHANNELS), (CLASSES,)
    tensors = [torch.randn(shape, device="meta", requires_grad=True) for shape in shapes]
    targets = torch.zeros(ROWS, dtype=torch.int64, device="meta")
    for found in gradients(chunked_cross_entropy, tensors, targets, targets.float()):
        assert found.device.type == "meta"
