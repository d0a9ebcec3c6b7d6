"""What the functions that run a chunk of pairs at a time share: what to keep, how to add up."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch import Tensor

Memory = Literal["auto", "balanced", "low"]

# "auto" keeps a hidden layer of at most this many bytes.
LARGE_HIDDEN = 256 * 2**20


def keeps_hidden(memory: Memory, edge_attr: Tensor, width: int) -> bool:
    """Whether backward shall find a hidden layer [M, width] kept.

    Always with "balanced"; never with "low", where it is made again by one linear map more; with
    "auto" if it takes `LARGE_HIDDEN` bytes at most.
    """
    if memory == "auto":
        return edge_attr.size(0) * width * edge_attr.element_size() <= LARGE_HIDDEN
    return memory == "balanced"


def zeros_for_sum(like: Tensor, *shape: int) -> Tensor:
    """Zeros to add up values as `like` in, of its or the given shape, in float32 at least."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    return like.new_zeros(shape or like.shape, dtype=dtype)


def add_product(total: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Total += left @ right, in place; under autocast the product alone is in half precision."""
    if torch.is_autocast_enabled(total.device.type):
        return total.add_(left @ right)
    return total.addmm_(left, right)


def autocast_state(device_type: str) -> Callable[[], AbstractContextManager[Any]]:
    """Make contexts with the present autocast setting: backward runs outside of forward's."""
    enabled, dtype = torch.is_autocast_enabled(device_type), torch.get_autocast_dtype(device_type)

    def restore() -> AbstractContextManager[Any]:
        return torch.autocast(device_type, dtype=dtype, enabled=enabled)

    return restore
