"""Prepare an image for a network by steps that a file can hold as numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

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
            mode = InterpolationMode(self.interpolation)
            image = functional.resize(_middle(image), _sides(self.resize), interpolation=mode)
        if self.size is not None:
            image = functional.center_crop(image, [*_sides(self.size), *_sides(self.size)][:2])
        pixels = image if isinstance(image, Tensor) else functional.pil_to_tensor(image)
        if not self.rgb:
            return functional.to_dtype(pixels, torch.float32, scale=True)
        # `to_dtype` multiplies by the reciprocal, which differs in the last bit.
        scaled = pixels.to(torch.float32).div_(255)
        return functional.normalize(scaled, self.mean, self.std) if self.mean else scaled

    def to_dict(self) -> dict[str, Any]:
        """Describe the steps for a file in JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preparation":
        """Read what `to_dict` described.

        Raises:
            TypeError: If a key is unknown.
        """
        found: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**found)


#: How this project's networks for photos are evaluated.
PHOTO = Preparation(True, 256, IMAGENET_SIZE, IMAGENET_MEAN, IMAGENET_STD)


def _rgb(image: Image.Image | Tensor) -> Image.Image | Tensor:
    """Convert to RGB as torchvision does, but do not copy an image that is RGB already."""
    if isinstance(image, Image.Image):
        return image if image.mode == "RGB" else image.convert("RGB")
    return functional.grayscale_to_rgb(image)


def _middle(image: Image.Image | Tensor) -> Image.Image | Tensor:
    """Return the middle of an image that is longer than `LONGEST`; any other unchanged."""
    sides = functional.get_size(image)
    most = LONGEST * min(sides)
    if max(sides) <= most:
        return image
    # An even number of pixels is cut, so that the centre stays where it is.
    kept = [min(side, most + (side - most) % 2) for side in sides]
    return functional.center_crop(image, kept)


def _sides(size: Size) -> list[int]:
    """A number is the length of the shorter side, a pair is height and width."""
    return [size] if isinstance(size, int) else list(size)
