import pytest
import torch
from torch import Tensor

from gcahng.graph.precision import full_precision


@full_precision
def product(a: Tensor, b: Tensor, *, scale: float = 1.0) -> Tensor:
    return (a @ b) * scale


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_raised(dtype: torch.dtype) -> None:
    a = torch.ones(2, 2, dtype=dtype)
    assert product(a, b=a, scale=2.0).tolist() == [[4, 4], [4, 4]]
    assert product(a, b=a).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_autocast_is_off_inside_and_on_after(dtype: torch.dtype) -> None:
    a = torch.full((2, 2), 1.001, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16):
        inside = product(a, a)
        assert torch.is_autocast_enabled("cpu")
    assert inside.dtype == dtype
    assert torch.equal(inside, a @ a)


def test_gradients_come_back_in_the_given_precision() -> None:
    a = torch.ones(2, 2, dtype=torch.bfloat16, requires_grad=True)
    product(a, a).sum().backward()
    assert a.grad.dtype == torch.bfloat16
