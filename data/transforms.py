"""Transforms from raw images to network inputs, built on torchvision's v2 operators.

Augmentation uses torch's global random state; `torch.manual_seed` makes it reproducible.
"""

import math
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2

from gcahng.data.datasets.base import Transform
from gcahng.preparation import (
    IMAGENET_MEAN,
    IMAGENET_SIZE,
    IMAGENET_STD,
    PUBLISHED_RESIZE_RATIO,
    Preparation,
)

# The narrowest crop of torchvision's random resized crop is three quarters as wide as high.
NARROWEST = 3 / 4
# At least the side of a thumbnail (`gcahng.inference.embed`), which is made from the same decoded
# image when photos are indexed.
LEAST_SIDE = 192
TO_FLOAT = v2.ToDtype(torch.float32, scale=True)


class Jitter(nn.Module):
    """Scale an image around its mean by up to `1 ± contrast` and add up to `± brightness`.

    `v2.ColorJitter` scales brightness instead of shifting it and takes six times as long.
    """

    def __init__(self, contrast: float, brightness: float) -> None:
        super().__init__()
        self.contrast, self.brightness = contrast, brightness

    def forward(self, image: Tensor) -> Tensor:
        """Jitter a float image `[C, H, W]`; the output is not clamped."""
        gain, shift = (torch.rand(2) * 2 - 1).tolist()
        mean = image.mean()
        return (image - mean) * (1 + gain * self.contrast) + (mean + shift * self.brightness)

    def extra_repr(self) -> str:
        """Show contrast and brightness."""
        return f"contrast={self.contrast}, brightness={self.brightness}"


class RGB(v2.RGB):
    """Convert to RGB as torchvision does, but do not copy a PIL image that is RGB already."""

    def forward(self, image: Image.Image | Tensor) -> Image.Image | Tensor:
        """Convert a grey or RGB image."""
        if isinstance(image, Image.Image) and image.mode == "RGB":
            return image
        return super().forward(image)


class DivideBy255(nn.Module):
    """Divide by 255, as published; `v2.ToDtype`'s reciprocal differs in the last bit."""

    def forward(self, image: Tensor) -> Tensor:
        """Convert a uint8 image to float32 in [0, 1], of the same shape."""
        return image.to(torch.float32).div_(255)


class ReducedPhoto(v2.Compose):
    """A transform that takes large photos reduced to a shorter side of at least so many pixels."""

    def __init__(self, steps: Sequence[nn.Module], shortest_side: int) -> None:
        super().__init__(steps)
        self.shortest_side = shortest_side

    def extra_repr(self) -> str:
        """Show the steps and the shorter side."""
        return f"{super().extra_repr()}\nshortest_side={self.shortest_side}"


def glyphs(
    train: bool, size: int = 32, contrast: float = 0.1, brightness: float = 0.05
) -> Transform:
    """Crop a glyph: randomly and with `Jitter` for training, else the centre.

    Shapes: uint8 `[1, H, W]` → float32 `[1, size, size]`, about [0, 1].
    """
    if not train:
        return Preparation(size=size)
    return v2.Compose([v2.RandomCrop(size), TO_FLOAT, Jitter(contrast, brightness)])


def digits(train: bool, size: int = 8, shift: int = 1) -> Transform:
    """Convert a digit to float32 in [0, 1], shifted by up to `shift` pixels for training.

    Shapes: uint8 `[1, size, size]` → float32 of the same shape.
    """
    if not train:
        return Preparation()
    return v2.Compose([v2.RandomCrop(size, padding=shift), TO_FLOAT])


def imagenet(
    train: bool,
    size: int = IMAGENET_SIZE,
    scale: Sequence[float] = (0.08, 1.0),
    resize: int | None = None,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    reduced_jpeg: bool = False,
) -> Transform:
    """Crop and normalise a photo, by default as in the published code.

    Shapes: PIL image or uint8 tensor → float32 `[3, size, size]`.

    Args:
        train: Whether to augment with a random resized crop and a horizontal flip (p = 0.5);
            otherwise the image is resized and its centre cropped.
        size: Side of the output in pixels.
        scale: Training: range of the cropped area, as a fraction of the image's area.
        resize: Testing: length of the shorter side before the centre crop; None keeps the
            published ratio 256 / 224.
        mean: Mean of each channel, for values in [0, 1].
        std: Standard deviation of each channel, for values in [0, 1].
        reduced_jpeg: Decode a large JPEG file at 1/2, 1/4 or 1/8 of its size, which takes a
            fraction of the time. For testing, the shorter side keeps at least twice `resize`
            pixels; for training, the smallest crop keeps at least `size`; never below 192.
    """
    if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"Expected 'scale' as two ascending fractions in (0, 1] (got {scale}).")
    resize = round(size * PUBLISHED_RESIZE_RATIO) if resize is None else resize
    if resize < size:
        raise ValueError(
            f"Expected 'resize' of at least 'size' (got {resize} and {size}): the crop cannot be "
            "larger than the resized image."
        )
    if not train:
        shortest = max(2 * resize, LEAST_SIDE) if reduced_jpeg else None
        return Preparation(True, resize, size, tuple(mean), tuple(std), shortest)
    steps = [
        RGB(),
        v2.RandomResizedCrop(size, tuple(scale)),
        v2.RandomHorizontalFlip(),
        v2.PILToTensor(),
        DivideBy255(),
        v2.Normalize(mean, std),
    ]
    least = math.ceil(size / math.sqrt(NARROWEST * scale[0]))
    return ReducedPhoto(steps, max(least, LEAST_SIDE)) if reduced_jpeg else v2.Compose(steps)
