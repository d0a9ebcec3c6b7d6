"""Images and labels: data sets, samplers and transforms."""

from pathlib import Path
from typing import Any

from gcahng.data.contact_sheet import contact_sheet
from gcahng.data.datasets import (
    CUB,
    SOP,
    Archive,
    Benchmark,
    Cars,
    ClassSubset,
    CSVFile,
    FileDataset,
    Folder,
    ImageDataset,
    InShop,
    Listing,
    RawImage,
    Size,
    Source,
    Transform,
    read_image,
    split_classes,
)
from gcahng.data.download import download
from gcahng.data.embedded import Digits, Glyphs
from gcahng.data.registry import build
from gcahng.data.samplers import ClassBalancedBatchSampler
from gcahng.data.transforms import TRANSFORMS, build_transform
from gcahng.data.verification import Part, Verification, check_findable, verify

DATASETS: dict[str, type[ImageDataset]] = {
    "cars": Cars,
    "csv": CSVFile,
    "cub": CUB,
    "digits": Digits,
    "folder": Folder,
    "glyphs": Glyphs,
    "inshop": InShop,
    "sop": SOP,
}

__all__ = [
    "CUB",
    "DATASETS",
    "SOP",
    "TRANSFORMS",
    "Archive",
    "Benchmark",
    "CSVFile",
    "Cars",
    "ClassBalancedBatchSampler",
    "ClassSubset",
    "Digits",
    "FileDataset",
    "Folder",
    "Glyphs",
    "ImageDataset",
    "InShop",
    "Listing",
    "Part",
    "RawImage",
    "Size",
    "Source",
    "Transform",
    "Verification",
    "build_dataset",
    "build_transform",
    "check_findable",
    "contact_sheet",
    "download",
    "read_image",
    "split_classes",
    "verify",
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
