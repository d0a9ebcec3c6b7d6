import pytest
import torch
from pytorch_metric_learning.losses import ProxyAnchorLoss as ReferenceLoss
from torch import Tensor

from gcahng.losses import ProxyAnchorLoss
from tests.gcahng import oracle
from tests.graph.oracle import assert_near

CLASSES, CHANNELS = 6, 4
LABELS = torch.tensor([1, 4, 1, 0, 4, 1, 5])  # unbalanced; classes 2 and 3 are absent


def make(**args: float) -> ProxyAnchorLoss:
    torch.manual_seed(0)
    return ProxyAnchorLoss(CLASSES, CHANNELS, **args).double()


def embeddings() -> Tensor:
    torch.manual_seed(1)
    return 3 * torch.randn(7, CHANNELS, dtype=torch.float64)


@pytest.mark.parametrize("args", [{}, {"alpha": 8.0, "delta": 0.3}])
def test_equals_the_loop(args: dict[str, float]) -> None:
    loss = make(**args)
    expected = oracle.proxy_anchor(embeddings(), LABELS, loss.proxies, **args)
    assert_near("loss", loss(embeddings(), LABELS), expected, 1e-13)


def test_gradcheck() -> None:
    loss = make(alpha=4.0)
    torch.autograd.gradcheck(
        lambda z, _: loss(z, LABELS), (embeddings().requires_grad_(), loss.proxies)
    )


def test_agrees_with_pytorch_metric_learning() -> None:
    ours, reference = make(), ReferenceLoss(CLASSES, CHANNELS, margin=0.1, alpha=32).double()
    reference.proxies.data.copy_(ours.proxies)
    z, other = embeddings().requires_grad_(), embeddings().requires_grad_()
    value, expected = ours(z, LABELS), reference(other, LABELS)
    value.backward()
    expected.backward()
    assert_near("loss", value, expected, 1e-9)
    assert_near("embeddings", z.grad, other.grad, 1e-9)
    assert_near("proxies", ours.proxies.grad, reference.proxies.grad, 1e-9)


def test_samples_may_be_permuted() -> None:
    loss, order = make(), oracle.permutation(7)
    shuffled = loss(embeddings()[order], LABELS[order])
    assert_near("loss", shuffled, loss(embeddings(), LABELS), 1e-13)


def test_classes_may_be_permuted_with_their_proxies() -> None:
    loss, order = make(), oracle.permutation(CLASSES)
    expected = loss(embeddings(), LABELS)
    loss.proxies.data = loss.proxies.data[order]
    assert_near("loss", loss(embeddings(), order.argsort()[LABELS]), expected, 1e-13)


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e15])
@pytest.mark.parametrize("alpha", [32.0, 1e4])
def test_extreme_values_stay_finite(scale: float, alpha: float) -> None:
    loss = make(alpha=alpha).float()
    z = (scale * embeddings().float()).requires_grad_()
    value = loss(z, LABELS)
    value.backward()
    assert value.isfinite()
    assert z.grad.isfinite().all()
    assert loss.proxies.grad.isfinite().all()


def test_empty_batch_backpropagates_zero() -> None:
    loss, z = make(), torch.empty(0, CHANNELS, dtype=torch.float64, requires_grad=True)
    value = loss(z, torch.empty(0, dtype=torch.long))
    value.backward()
    assert value == 0
    assert z.grad.shape == (0, CHANNELS)
    assert loss.proxies.grad.eq(0).all()
