"""Prepare an image for a network by steps that a file can hold as numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

IMAGENET_SIZE = 224
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
PUBLISHED_RESIZE_RATIO = 256 / 224
# Of an image that is longer, in shorter sides, the middle is used: a line of 1 × 50,000 pixels
# would be resized to 256 × 12,800,000 before the crop.
LONGEST = 50
Size = int | tuple[int, int]


@dataclass(frozen=True)
class Preparation:
    """A test transform: resize, crop the centre, scale to [0, 1], normalise.

    Attributes:
        rgb: Whether images are photos, converted to RGB first and divided by 255; others, uint8
            tensors of an embedded data set, are multiplied by 1/255.
        resize: Length of the shorter side before the crop, or height and width; None: not resized.
        size: Side of the crop, or its height and width; None: not cropped.
        mean: Of each channel, subtracted from values in [0, 1]; empty: not normalised.
        std: Of each channel, divided by afterwards; empty: not normalised.
        shortest_side: Length that the shorter side keeps where large JPEGs are decoded at a reduced
            size; None: they are not.
        interpolation: Torchvision's name of the filter that resizes.

    Example:
        >>> PHOTO(Image.new("RGB", (500, 400))).shape
        torch.Size([3, 224, 224])
    """

    rgb: bool = False
    resize: Size | None = None
    size: Size | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    shortest_side: int | None = None
    interpolation: str = "bilinear"

    def __call__(self, image: Image.Image | Tensor) -> Tensor:
        """Prepare an image, or a uint8 tensor [C, H, W]; return float32 [C, H, W]."""
        if self.rgb:
            image = _rgb(image)
        if self.resize is not None:
            image = _resize(_middle(image), _sides(self.resize), self.interpolation)
        if self.size is not None:
            image = _centre(image, *[*_sides(self.size), *_sides(self.size)][:2])
        pixels = image if isinstance(image, Tensor) else _pixels(image)
        if not self.rgb and pixels.dtype != torch.uint8:
            scaled: Tensor = _torchvision().to_dtype(pixels, torch.float32, scale=True)
            return scaled
        pixels = pixels.to(torch.float32)
        # The latter as torchvision does, which differs in the last bit.
        pixels = pixels.div_(255) if self.rgb else pixels.mul_(1 / 255)
        if not (self.rgb and self.mean):
            return pixels
        mean, std = (torch.tensor(one, dtype=torch.float32) for one in (self.mean, self.std))
        if not std.all():
            raise ValueError(f"Expected 'std' without zeros (got {list(self.std)})")
        return pixels.sub(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1))

    def to_dict(self) -> dict[str, Any]:
        """Describe the steps for a file in JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preparation":
        """Read what `to_dict` described; a TypeError if a key is unknown."""
        tuples: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**tuples)


#: How this project's networks for photos are evaluated.
PHOTO = Preparation(True, 256, IMAGENET_SIZE, IMAGENET_MEAN, IMAGENET_STD)


def _rgb(image: Image.Image | Tensor) -> Image.Image | Tensor:
    """Convert to RGB as torchvision does, but do not copy an image that is RGB already."""
    if isinstance(image, Tensor):
        return _torchvision().grayscale_to_rgb(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _torchvision() -> Any:
    """The functions for what pictures do not need: with it, a search would take twice as long."""
    from torchvision.transforms.v2 import functional

    return functional


def _height_width(image: Image.Image | Tensor) -> tuple[int, int]:
    if isinstance(image, Tensor):
        return image.shape[-2], image.shape[-1]
    return image.height, image.width


def _middle(image: Image.Image | Tensor) -> Image.Image | Tensor:
    """Return the middle of an image that is longer than `LONGEST`; any other unchanged."""
    sides = _height_width(image)
    most = LONGEST * min(sides)
    if max(sides) <= most:
        return image
    # An even number of pixels is cut, so that the centre stays where it is.
    height, width = (min(side, most + (side - most) % 2) for side in sides)
    return _centre(image, height, width)


def _resize(
    image: Image.Image | Tensor, sides: list[int], interpolation: str
) -> Image.Image | Tensor:
    """Resize as torchvision does."""
    if isinstance(image, Tensor):
        from torchvision.transforms import InterpolationMode

        mode = InterpolationMode(interpolation)
        resized: Tensor = _torchvision().resize(image, sides, interpolation=mode)
        return resized
    height, width = _height_width(image)
    if len(sides) == 1:
        long = int(sides[0] * max(height, width) / min(height, width))
        sides = [sides[0], long] if height <= width else [long, sides[0]]
    if sides == [height, width]:
        return image
    filters = Image.Resampling[interpolation.removesuffix("-exact").upper()]
    return image.resize((sides[1], sides[0]), filters)


def _centre(image: Image.Image | Tensor, height: int, width: int) -> Image.Image | Tensor:
    """Crop the centre as torchvision does, which surrounds an image that is smaller with zeros."""
    there = _height_width(image)
    if there[0] < height or there[1] < width:
        padded: Image.Image | Tensor = _torchvision().center_crop(image, [height, width])
        return padded
    top, left = round((there[0] - height) / 2), round((there[1] - width) / 2)
    if isinstance(image, Tensor):
        return image[..., top : top + height, left : left + width]
    return image.crop((left, top, left + width, top + height))


def _pixels(image: Image.Image) -> Tensor:
    """The numbers of an image, [channels, H, W]."""
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)


def _sides(size: Size) -> list[int]:
    """A number is the length of the shorter side, a pair is height and width."""
    return [size] if isinstance(size, int) else list(size)
