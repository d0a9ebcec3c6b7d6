"""Resize an image and crop its centre, without computing what the crop of a long one drops."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2 import functional

# From this ratio of its sides on, a narrow image is resized in part.
ELONGATED = 8
# Pillow's filters for 8-bit images have fixed-point weights of this precision.
PRECISION_BITS = 22


class ResizeAndCrop(nn.Module):
    """Resize the shorter side to `resize`, then crop a square of `size` at the centre.

    The output is that of `v2.Resize` and `v2.CenterCrop` bit for bit. These would enlarge a PIL
    image of 1 × 20,000 pixels to 256 × 5,120,000, which takes 22 seconds and 6 GB.

    Args:
        resize: Length of the shorter side before the crop.
        size: Side of the crop, at most `resize`.

    Example:
        >>> ResizeAndCrop(resize=256, size=224)(Image.new("RGB", (1, 20000))).size
        (224, 224)
    """

    def __init__(self, resize: int, size: int) -> None:
        super().__init__()
        self.resize, self.size = resize, size

    def forward(self, image: Image.Image | Tensor) -> Image.Image | Tensor:
        """Resize and crop an RGB image or a tensor `[3, H, W]`."""
        if isinstance(image, Image.Image):
            short, long = sorted(image.size)
            # An image that is not enlarged never costs much more than reading it did.
            if short < self.resize and long >= ELONGATED * short:
                return self._part(image)
        resized = functional.resize(image, [self.resize])
        return functional.center_crop(resized, [self.size, self.size])

    def _part(self, image: Image.Image) -> Image.Image:
        short = min(image.size)
        # As torchvision rounds the longer side and the corner of the crop.
        whole = [
            self.resize if old == short else int(self.resize * old / short) for old in image.size
        ]
        (x, across), (y, down) = (
            _weights(old, new, round((new - self.size) / 2.0), self.size)
            for old, new in zip(image.size, whole, strict=True)
        )
        used = image.crop((x, y, x + across.shape[1], y + down.shape[1]))
        # Pillow enlarges horizontally first, and rounds to 8 bits in between.
        pixels = _apply(across, np.asarray(used).swapaxes(0, 1)).swapaxes(0, 1)
        return Image.fromarray(_apply(down, pixels))

    def extra_repr(self) -> str:
        """Show both lengths."""
        return f"resize={self.resize}, size={self.size}"


def _weights(old: int, new: int, first: int, count: int) -> tuple[int, NDArray[np.int64]]:
    """Compute Pillow's bilinear weights of `count` pixels of an enlarged line, from `first` on.

    Args:
        old: Length of the line.
        new: Its length after enlarging.
        first: The first pixel of the enlarged line to compute.
        count: Number of pixels to compute.

    Returns:
        The first pixel of the line that is needed, and the weights [count, L] of L pixels from it.
    """
    centres = (np.arange(first, first + count) + 0.5) * (old / new)
    starts = np.maximum((centres - 0.5).astype(np.int64), 0)
    ends = np.minimum((centres + 1.5).astype(np.int64), old)
    pixels = np.arange(starts[0], ends[-1])
    triangles = np.maximum(1 - np.abs(pixels - centres[:, None] + 0.5), 0)
    triangles[(pixels < starts[:, None]) | (pixels >= ends[:, None])] = 0
    weights = triangles / triangles.sum(1, keepdims=True)
    return int(starts[0]), (weights * (1 << PRECISION_BITS) + 0.5).astype(np.int64)


def _apply(weights: NDArray[np.int64], pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Weight the pixels [L, …] of lines and round to 8 bits, [count, …]."""
    # Exact in float64, which BLAS multiplies fast: all sums are integers below 2^53.
    sums = np.tensordot(weights.astype(np.float64), pixels.astype(np.float64), axes=1)
    rounded = (sums.astype(np.int64) + (1 << (PRECISION_BITS - 1))) >> PRECISION_BITS
    return rounded.clip(0, 255).astype(np.uint8)
