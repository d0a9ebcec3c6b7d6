"""Helpers of the chunked autograd functions: what to save and compute, how to accumulate."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor

Memory = Literal["auto", "balanced", "low"]

# "auto" saves a hidden activation of at most this many bytes.
LARGE_HIDDEN = 256 * 2**20


def saves_hidden(memory: Memory, edge_attr: Tensor, width: int) -> bool:
    """True if forward should save the hidden activation [M, width] for backward.

    "balanced" always saves it; "low" never does and recomputes it with one extra linear map;
    "auto" saves it if it takes at most `LARGE_HIDDEN` bytes.
    """
    if memory == "auto":
        return edge_attr.size(0) * width * edge_attr.element_size() <= LARGE_HIDDEN
    return memory == "balanced"


def zeros_for_sum(like: Tensor, *shape: int) -> Tensor:
    """Zeros to accumulate into, shaped as `like` unless given, in float32 or wider."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    return like.new_zeros(shape or like.shape, dtype=dtype)


def add_product(total: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Compute total += left @ right in place; autocast affects only the product."""
    device = total.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return total.add_(left @ right)
    return total.addmm_(left, right)


def autocast_state(device_type: str) -> Callable[[], AbstractContextManager[Any]]:
    """Capture the current autocast setting, so that backward can restore it."""
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext
    enabled, dtype = torch.is_autocast_enabled(device_type), torch.get_autocast_dtype(device_type)

    def restore() -> AbstractContextManager[Any]:
        return torch.autocast(device_type, dtype=dtype, enabled=enabled)

    return restore
