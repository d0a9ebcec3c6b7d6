"""Images as users have them: files, PIL images, arrays or tensors, one or many."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gcahng.pictures import read_image, upright_rgb
from gcahng.preparation import Preparation

ImageLike: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[Any] | Tensor
SINGLE = (str, os.PathLike, Image.Image, np.ndarray, Tensor)
EXPECTED = (
    "expected a path, a PIL image, an array [H, W] or [H, W, 3], or a tensor [3, H, W] or "
    "[1, H, W], or several of them"
)


def one_by_one(images: ImageLike | Iterable[ImageLike]) -> Iterator[ImageLike]:
    """Yield the single images of one image, of several, or of a batch of 4 dimensions."""
    if isinstance(images, SINGLE) and getattr(images, "ndim", 0) != 4:
        yield images
    elif isinstance(images, Iterable) and not isinstance(images, bytes):
        yield from images
    else:
        raise TypeError(f"{EXPECTED}, got {type(images).__name__}")


def rgb_image(image: ImageLike, shortest: int | None = None) -> Image.Image:
    """Return an image as upright 8-bit RGB.

    Args:
        image: A path; a PIL image, which is rotated by its EXIF orientation and composited on white
            as a file is; an array [H, W], [H, W, 1] or [H, W, 3]; a tensor [1, H, W] or [3, H, W].
            Numbers are uint8, or floats in [0, 1].
        shortest: As for `read_image`.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(Path(image), shortest=shortest)
    if isinstance(image, Image.Image):
        try:
            return upright_rgb(image)
        # Pillow reads the pixels of a file when they are needed, with exceptions of many types.
        except Exception as error:
            raise ValueError(f"Cannot read the image {image!r} ({error})") from error
    if isinstance(image, Tensor):
        if image.ndim != 3 or len(image) not in (1, 3):
            raise ValueError(f"{EXPECTED}, got a tensor {list(image.shape)}")
        # NumPy has no bfloat16; with 16 bits, products are rounded too much.
        small = image.is_floating_point() and image.dtype.itemsize < torch.float32.itemsize
        image = (image.float() if small else image).detach().cpu().permute(1, 2, 0).numpy()
    if not isinstance(image, np.ndarray):
        raise TypeError(f"{EXPECTED}, got {type(image).__name__}")
    pixels = _eight_bits(image[..., None] if image.ndim == 2 else image)
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.size == 0:
        raise ValueError(f"{EXPECTED}, got an array {list(image.shape)}")
    three = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return Image.fromarray(np.ascontiguousarray(three))


@dataclass(frozen=True)
class FromAnyImage:
    """A test transform for images of every kind.

    It takes an RGB image, or a uint8 tensor of `channels` channels if that is set.
    """

    transform: Preparation
    channels: int | None = None

    @property
    def shortest_side(self) -> int | None:
        """The length that the shorter side of a large JPEG keeps."""
        return self.transform.shortest_side

    def __call__(self, image: ImageLike) -> Tensor:
        """Convert the image as `rgb_image` does, and transform it."""
        image = rgb_image(image, self.shortest_side)
        if self.channels is None:
            return self.transform(image)
        pixels = np.asarray(image.convert("L"))[..., None] if self.channels == 1 else image
        return self.transform(torch.from_numpy(np.array(pixels)).permute(2, 0, 1))


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    if not np.issubdtype(pixels.dtype, np.floating):
        raise ValueError(f"expected pixels as uint8 or as floats in [0, 1], got {pixels.dtype}")
    if not (np.isfinite(pixels).all() and 0 <= pixels.min(initial=0) <= pixels.max(initial=0) <= 1):
        raise ValueError(
            "expected floating-point pixels in [0, 1], got values from "
            f"{pixels.min():.4g} to {pixels.max():.4g}: give the raw image, which the model "
            "normalises itself"
        )
    return (pixels * 255).round().astype(np.uint8)
