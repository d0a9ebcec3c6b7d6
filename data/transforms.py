"""From raw images to network inputs, on torchvision's v2 operators.

The transforms draw from torch's global random state; seeding that is enough to repeat them.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from data.datasets.base import Transform
from data.registry import build


class Jitter(nn.Module):
    """Multiply an image around its mean by `1 ± contrast` and add `± brightness`.

    `v2.ColorJitter` multiplies by its brightness as well and costs six times as much per image.

    Args:
        contrast: The largest relative change, not negative.
        brightness: The largest shift, in units of the image's full range.
    """

    def __init__(self, contrast: float, brightness: float) -> None:
        super().__init__()
        self.contrast, self.brightness = contrast, brightness

    def forward(self, image: Tensor) -> Tensor:
        """Map a float image `[C, H, W]` in about [0, 1] to one of the same shape, not clamped."""
        gain, shift = (torch.rand(2) * 2 - 1).tolist()
        mean = image.mean()
        return (image - mean) * (1 + gain * self.contrast) + (mean + shift * self.brightness)

    def extra_repr(self) -> str:
        """Show the strengths."""
        return f"contrast={self.contrast}, brightness={self.brightness}"


def glyphs(
    train: bool, size: int = 32, contrast: float = 0.1, brightness: float = 0.05
) -> Transform:
    """Crop a glyph, at random and with jitter for training; float `[1, size, size]` near [0, 1]."""
    to_float = v2.ToDtype(torch.float32, scale=True)
    if not train:
        return v2.Compose([v2.CenterCrop(size), to_float])
    return v2.Compose([v2.RandomCrop(size), to_float, Jitter(contrast, brightness)])


def digits(train: bool, size: int = 8, shift: int = 1) -> Transform:
    """Shift a digit by up to `shift` pixels for training; float `[1, size, size]` in [0, 1]."""
    to_float = v2.ToDtype(torch.float32, scale=True)
    return v2.Compose([v2.RandomCrop(size, padding=shift), to_float]) if train else to_float


TRANSFORMS: dict[str, Callable[..., Transform]] = {"digits": digits, "glyphs": glyphs}


def build_transform(name: str, train: bool, **args: Any) -> Transform:
    """Build the transform `name` of `TRANSFORMS`.

    Args:
        name: A key of `TRANSFORMS`; a data set's default is its `transform_name`.
        train: Whether to augment.
        **args: The entry's own arguments.

    Raises:
        ValueError: If the name or an argument is unknown.
    """
    return build("transform", TRANSFORMS, name, train=train, **args)
