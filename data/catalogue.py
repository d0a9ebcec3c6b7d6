"""All data sets by name."""

from pathlib import Path
from typing import Any

from gcahng.data.datasets.base import ImageDataset, Transform, check_listing
from gcahng.data.datasets.cars import Cars
from gcahng.data.datasets.class_folders import Folder
from gcahng.data.datasets.csv_file import CSVFile
from gcahng.data.datasets.cub import CUB
from gcahng.data.datasets.huggingface import HuggingFace
from gcahng.data.datasets.inshop import InShop
from gcahng.data.datasets.sop import SOP
from gcahng.data.embedded.digits import Digits
from gcahng.data.embedded.glyphs import Glyphs
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
        "huggingface": HuggingFace,
        "inshop": InShop,
        "sop": SOP,
    },
    user_base=ImageDataset,
    filled=("root", "split", "transform"),
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
        name: A key of `DATASETS`, or `module.path:ClassName` for an `ImageDataset` of your own.
        split: One of the data set's `SPLITS`.
        root: The folder that holds all data sets; None for data sets that need no files.
        transform: Applied to each raw image; None returns raw images.
        **args: Further arguments of the data set.

    Raises:
        FileNotFoundError: If the data set's files are missing.
        ValueError: If the name, the split or an argument is unknown, or the data set is unfinished.

    Example:
        >>> dataset = build_dataset("digits", "train")
        >>> dataset
        Digits(split='train', classes=5, images=901)
        >>> image, label = dataset[0]
        >>> image.shape, image.dtype, dataset.classes[label]
        (torch.Size([1, 8, 8]), torch.uint8, 'digit 0')
    """
    args = DATASETS.check(name, args)
    dataset = DATASETS.find(name)(root=root, split=split, transform=transform, **args)
    check_listing(name, dataset)
    return dataset
