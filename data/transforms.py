"""From raw images to network inputs, on torchvision's v2 operators.

The transforms draw from torch's global random state; seeding that is enough to repeat them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from gcahng.data.datasets.base import Transform
from gcahng.registry import Registry

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
PUBLISHED_MARGIN = 256 / 224


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


class Unit(nn.Module):
    """Divide by 255.

    `v2.ToDtype` multiplies by the reciprocal, and so differs from the published set-up in the last
    bit.
    """

    def forward(self, image: Tensor) -> Tensor:
        """Map a uint8 image to a float one of the same shape in [0, 1]."""
        return image.to(torch.float32).div_(255)


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


def imagenet(
    train: bool,
    size: int = 224,
    scale: Sequence[float] = (0.08, 1.0),
    resize: int | None = None,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Transform:
    """Crop a photo and normalise it; float `[3, size, size]`. The published set-up.

    Args:
        train: Whether to cut out a part at random and mirror every other picture; otherwise the
            centre is taken.
        size: The side of the output.
        scale: To train, the smallest and largest share of the picture's area to cut out.
        resize: To test, the picture's shorter side before the centre is cut out; None keeps the
            published proportion, 256 for 224.
        mean: What is subtracted from each channel, in units of its full range.
        std: What each channel is divided by then.

    Raises:
        ValueError: If `scale` is no pair of shares, or `resize` is below `size`.
    """
    if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"Expected 'scale' as two ascending shares in (0, 1] (got {scale}).")
    resize = round(size * PUBLISHED_MARGIN) if resize is None else resize
    if resize < size:
        raise ValueError(
            f"Expected 'resize' of at least 'size' (got {resize} and {size}): the centre cannot be "
            "larger than the picture."
        )
    crop: list[nn.Module] = [v2.Resize(resize), v2.CenterCrop(size)]
    if train:
        crop = [v2.RandomResizedCrop(size, tuple(scale)), v2.RandomHorizontalFlip()]
    return v2.Compose([v2.RGB(), *crop, v2.PILToTensor(), Unit(), v2.Normalize(mean, std)])


TRANSFORMS: Registry[Callable[..., Transform]] = Registry(
    "transform", {"digits": digits, "glyphs": glyphs, "imagenet": imagenet}
)


def build_transform(name: str, train: bool, **args: Any) -> Transform:
    """Build the transform `name` of `TRANSFORMS`.

    Args:
        name: A key of `TRANSFORMS`; a data set's default is its `transform_name`.
        train: Whether to augment.
        **args: The entry's own arguments.

    Raises:
        ValueError: If the name or an argument is unknown.
    """
    return TRANSFORMS.build(name, train=train, **args)
