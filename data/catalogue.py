"""All data sets by name."""

from pathlib import Path
from typing import Any

from gcahng.data.datasets import (
    CUB,
    SOP,
    Cars,
    CSVFile,
    Folder,
    ImageDataset,
    InShop,
    Transform,
)
from gcahng.data.embedded import Digits, Glyphs
from gcahng.registry import Registry

DATASETS: Registry[type[ImageDataset]] = Registry(
    "data set",
    {
        "cars": Cars,
        "csv": CSVFile,
        "cub": CUB,
        "digits": Digits,
        "folder": Folder,
        "glyphs": Glyphs,
        "inshop": InShop,
        "sop": SOP,
    },
)


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
    return DATASETS.build(name, root=root, split=split, transform=transform, **args)
