"""Keep what is sensitive to rounding in full precision under autocast."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])


def full_precision(function: F) -> F:
    """Run a function with autocast off and half-precision tensor arguments raised to float32.

    Norms, distances and losses need it; float32 and float64 arguments pass as they are.
    """

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        device = tensors[0].device.type if tensors else "cpu"
        with torch.autocast(device, enabled=False):
            return function(
                *(half_to_float32(value) for value in args),
                **{name: half_to_float32(value) for name, value in kwargs.items()},
            )

    return cast(F, wrapped)


def half_to_float32(value: Any) -> Any:
    """A half-precision tensor in float32; anything else as it is."""
    if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16):
        return value.float()
    return value
