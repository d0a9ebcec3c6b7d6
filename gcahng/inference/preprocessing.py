"""What a test transform does to an image, as numbers that other programs can read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from timm.data.transforms import MaybeToTensor
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import InterpolationMode, v2

from gcahng.data.datasets.base import shortest_side
from gcahng.data.transforms import ResizeAndCrop
from gcahng.models.backbones import LibraryTransform

# Pillow's numbers of the filters with which images are resized; `ResizeAndCrop` takes the first.
BILINEAR, BICUBIC = 2, 3
FILTERS = {InterpolationMode.BILINEAR: BILINEAR, InterpolationMode.BICUBIC: BICUBIC}
Size = int | tuple[int, int]


@dataclass(frozen=True)
class Preprocessing:
    """The steps of a test transform: resize, crop the centre, divide by 255, normalise.

    Attributes:
        rgb: Whether the image is converted to RGB first.
        resize: Length of the shorter side before the crop, or height and width; None: not resized.
        size: Side of the crop, or its height and width; None: not cropped.
        mean: Of each channel, subtracted from values in [0, 1]; empty: not normalised.
        std: Of each channel, divided by afterwards; empty: not normalised.
        shortest_side: Length that the shorter side keeps where large JPEGs are decoded at a reduced
            size; None: they are not. `preprocessor_config.json` cannot say it.
        resample: Pillow's number of the filter that resizes.
    """

    rgb: bool = False
    resize: Size | None = None
    size: Size | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    shortest_side: int | None = None
    resample: int = BILINEAR

    def huggingface(self) -> dict[str, Any]:
        """The same as the content of a `preprocessor_config.json`.

        Example:
            >>> Preprocessing(resize=256, size=224).huggingface()["size"]
            {'shortest_edge': 256}
        """
        steps: dict[str, Any] = {
            "image_processor_type": "CLIPImageProcessor",
            "do_convert_rgb": self.rgb,
            "do_resize": self.resize is not None,
            "do_center_crop": self.size is not None,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": bool(self.mean),
        }
        if self.resize is not None:
            both = {"shortest_edge": self.resize}
            if not isinstance(self.resize, int):
                both = dict(zip(("height", "width"), self.resize, strict=True))
            steps |= {"size": both, "resample": self.resample}
        if self.size is not None:
            height, width = (self.size,) * 2 if isinstance(self.size, int) else self.size
            steps["crop_size"] = {"height": height, "width": width}
        if self.mean:
            steps |= {"image_mean": list(self.mean), "image_std": list(self.std)}
        return steps


def preprocessing_of(transform: Callable[..., Any]) -> Preprocessing:
    """Read the steps from a test transform, of this project or of a backbone's library.

    Raises:
        ValueError: If a library does something else.

    Example:
        >>> from gcahng.data import build_transform
        >>> preprocessing_of(build_transform("glyphs", train=False)).size
        32
    """
    if isinstance(transform, LibraryTransform):
        return _of_library(transform)
    steps = transform.transforms if isinstance(transform, v2.Compose) else [transform]
    rgb = any(isinstance(step, v2.RGB) for step in steps)
    resize = size = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    for step in steps:
        if isinstance(step, ResizeAndCrop):
            resize, size = step.resize, step.size
        elif isinstance(step, v2.CenterCrop):
            size = step.size[0]
        elif isinstance(step, v2.Normalize):
            mean, std = tuple(step.mean), tuple(step.std)
    return Preprocessing(rgb, resize, size, mean, std, shortest_side(transform))


def _of_library(transform: LibraryTransform) -> Preprocessing:
    steps: Any = transform.steps
    found: dict[str, Any] = {}
    if not isinstance(steps, transforms.Compose):  # torchvision's steps are one object
        found |= {"resize": _resize(steps.resize_size), "resample": FILTERS[steps.interpolation]}
        found |= {"size": _crop(steps.crop_size), "mean": tuple(steps.mean)}
        return Preprocessing(rgb=True, std=tuple(steps.std), **found)
    for step in steps.transforms:
        if isinstance(step, transforms.Resize):
            found |= {"resize": _resize(step.size), "resample": FILTERS[step.interpolation]}
        elif isinstance(step, transforms.CenterCrop):
            found["size"] = _crop(step.size)
        elif isinstance(step, transforms.Normalize):
            found |= {"mean": _numbers(step.mean), "std": _numbers(step.std)}
        elif not isinstance(step, MaybeToTensor):
            raise ValueError(
                f"the backbone's library prepares images with {type(step).__name__}, which no "
                "preprocessor_config.json can say"
            )
    return Preprocessing(rgb=True, **found)


def _resize(size: int | Sequence[int]) -> Size:
    """A number is the length of the shorter side, a sequence of two is height and width."""
    if isinstance(size, int):
        return size
    return size[0] if len(size) == 1 else (size[0], size[1])


def _crop(size: Sequence[int]) -> Size:
    """One number for a square."""
    return size[0] if size[0] == size[-1] else (size[0], size[1])


def _numbers(values: Tensor) -> tuple[float, ...]:
    """Numbers in float32, without the digits that were not meant."""
    return tuple(round(float(value), 7) for value in values)
