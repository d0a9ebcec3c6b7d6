"""Run rounding-sensitive functions in full precision under autocast."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])


def autocast(device_type: str, **settings: Any) -> AbstractContextManager[Any]:
    """`torch.autocast`, or no context on a device without it, such as `meta`."""
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, **settings)
    return nullcontext()


def full_precision(function: F) -> F:
    """Decorator: disable autocast and cast half-precision tensor arguments to float32."""

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        device = tensors[0].device.type if tensors else "cpu"
        with autocast(device, enabled=False):
            return function(
                *(half_to_float32(value) for value in args),
                **{name: half_to_float32(value) for name, value in kwargs.items()},
            )

    return cast(F, wrapped)


def half_to_float32(value: Any) -> Any:
    """Cast a half-precision tensor to float32; return anything else unchanged."""
    if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16):
        return value.float()
    return value
