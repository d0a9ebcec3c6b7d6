"""All data sets and transforms by name."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcahng.registry import Registry

if TYPE_CHECKING:
    from gcahng.data.datasets.base import ImageDataset, Transform

DATASETS: "Registry[type[ImageDataset]]" = Registry(
    "data set",
    {
        "cars": "gcahng.data.datasets.cars:Cars",
        "csv": "gcahng.data.datasets.csv_file:CSVFile",
        "cub": "gcahng.data.datasets.cub:CUB",
        "digits": "gcahng.data.embedded.digits:Digits",
        "folder": "gcahng.data.datasets.class_folders:Folder",
        "glyphs": "gcahng.data.embedded.glyphs:Glyphs",
        "huggingface": "gcahng.data.datasets.huggingface:HuggingFace",
        "inshop": "gcahng.data.datasets.inshop:InShop",
        "sop": "gcahng.data.datasets.sop:SOP",
    },
    user_base="gcahng.data.datasets.base:ImageDataset",
    filled=("root", "split", "transform"),
)
TRANSFORMS: "Registry[Callable[..., Transform]]" = Registry(
    "transform",
    {
        "digits": "gcahng.data.transforms:digits",
        "glyphs": "gcahng.data.transforms:glyphs",
        "imagenet": "gcahng.data.transforms:imagenet",
    },
    filled=("train",),
)


def build_dataset(
    name: str,
    split: str,
    root: str | Path | None = None,
    transform: "Transform | None" = None,
    **args: Any,
) -> "ImageDataset":
    """Build the data set `name` of `DATASETS`.

    Args:
        name: A key of `DATASETS`, or `module.path:ClassName` for an `ImageDataset` of your own.
        split: One of the data set's `SPLITS`.
        root: The folder that holds all data sets; None for data sets that need no files.
        transform: Applied to each raw image; None returns raw images.
        **args: Further arguments of the data set.

    Raises:
        FileNotFoundError: If the data set's files are missing.
        ValueError: If the name, the split or an argument is unknown.

    Example:
        >>> dataset = build_dataset("digits", "train")
        >>> dataset
        Digits(split='train', classes=5, images=901)
    """
    from gcahng.data.datasets.base import check_listing

    args = DATASETS.check(name, args)
    dataset = DATASETS.find(name)(root=root, split=split, transform=transform, **args)
    check_listing(name, dataset)
    return dataset


def build_transform(name: str, train: bool, **args: Any) -> "Transform":
    """Build the transform `name` of `TRANSFORMS`.

    Augmenting for training (`train`); a ValueError names a wrong name, argument or value.

    Example:
        >>> import torch
        >>> transform = build_transform("imagenet", train=False, size=32)
        >>> transform(torch.zeros(3, 60, 40, dtype=torch.uint8)).shape
        torch.Size([3, 32, 32])
    """
    size = args.get("size", 1)
    if isinstance(size, int) and size < 1:
        raise ValueError(f"Expected 'size' of at least 1 (got {size}).")
    args = TRANSFORMS.check(name, args)
    return TRANSFORMS.find(name)(train=train, **args)
