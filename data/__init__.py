"""Images and labels: data sets, samplers and transforms."""

from pathlib import Path
from typing import Any

from data.contact_sheet import contact_sheet
from data.datasets import ClassSubset, ImageDataset, RawImage, Transform, split_classes
from data.embedded import Digits, Glyphs
from data.registry import build
from data.samplers import ClassBalancedBatchSampler
from data.transforms import TRANSFORMS, build_transform

DATASETS: dict[str, type[ImageDataset]] = {"digits": Digits, "glyphs": Glyphs}

__all__ = [
    "DATASETS",
    "TRANSFORMS",
    "ClassBalancedBatchSampler",
    "ClassSubset",
    "Digits",
    "Glyphs",
    "ImageDataset",
    "RawImage",
    "Transform",
    "build_dataset",
    "build_transform",
    "contact_sheet",
    "split_classes",
]


def build_dataset(
    name: str,
    split: str,
    root: str | Path | None = None,
    transform: Transform | None = None,
    **args: Any,
) -> ImageDataset:
    """Build the data set `name` of `DATASETS`.

    Args:
        name: A key of `DATASETS`.
        split: One of the data set's `SPLITS`.
        root: The folder that holds all data sets.
        transform: Maps a raw image; None leaves the images raw.
        **args: The data set's own arguments.

    Raises:
        ValueError: If the name, the split or an argument is unknown.
    """
    return build("data set", DATASETS, name, root=root, split=split, transform=transform, **args)
