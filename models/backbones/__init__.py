"""Networks from images `[N, C, H, W]` to features `[N, out_channels]`."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from models.backbones.small_conv import SmallConv

BACKBONES: dict[str, Callable[..., nn.Module]] = {"small_conv": SmallConv}

__all__ = ["BACKBONES", "SmallConv", "build_backbone"]


def build_backbone(name: str, **args: Any) -> nn.Module:
    """Build the backbone `name` of `BACKBONES`; its width is its attribute `out_channels`.

    Args:
        name: A key of `BACKBONES`.
        **args: The backbone's own arguments.

    Raises:
        ValueError: If the name or an argument is unknown.
    """
    if name not in BACKBONES:
        raise ValueError(
            f"Unknown backbone '{name}': choose one of {', '.join(sorted(BACKBONES))}."
        )
    signature = inspect.signature(BACKBONES[name])
    try:
        signature.bind(**args)
    except TypeError as error:
        known = ", ".join(signature.parameters)
        raise ValueError(f"The backbone '{name}' has {error}; it takes {known}.") from error
    return BACKBONES[name](**args)
