"""What a test transform does to an image, as numbers that other programs can read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torchvision.transforms import v2

from gcahng.data.datasets.base import shortest_side
from gcahng.data.elongated import ResizeAndCrop

# Pillow's number of the filter with which `ResizeAndCrop` resizes.
BILINEAR = 2


@dataclass(frozen=True)
class Preprocessing:
    """The steps of a test transform: resize, crop the centre, divide by 255, normalise.

    Attributes:
        rgb: Whether the image is converted to RGB first.
        resize: Length of the shorter side before the crop; None: not resized.
        size: Side of the crop; None: not cropped.
        mean: Of each channel, subtracted from values in [0, 1]; empty: not normalised.
        std: Of each channel, divided by afterwards; empty: not normalised.
        shortest_side: Length that the shorter side keeps where large JPEGs are decoded at a reduced
            size; None: they are not. `preprocessor_config.json` cannot say it.
    """

    rgb: bool = False
    resize: int | None = None
    size: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    shortest_side: int | None = None

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
            steps |= {"size": {"shortest_edge": self.resize}, "resample": BILINEAR}
        if self.size is not None:
            steps["crop_size"] = {"height": self.size, "width": self.size}
        if self.mean:
            steps |= {"image_mean": list(self.mean), "image_std": list(self.std)}
        return steps


def preprocessing_of(transform: Callable[..., Any]) -> Preprocessing:
    """Read the steps from a test transform that was built by `build_transform`.

    Example:
        >>> from gcahng.data import build_transform
        >>> preprocessing_of(build_transform("glyphs", train=False))
        Preprocessing(rgb=False, resize=None, size=32, mean=(), std=(), shortest_side=None)
    """
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
