"""SOP: Stanford Online Products, photos of products labelled by item."""

from pathlib import Path
from typing import ClassVar

from gcahng.data.datasets.files import Listing
from gcahng.data.datasets.published_dataset import (
    CONVERTED,
    DiskLayout,
    PublishedDataset,
    Size,
    read_rows,
)


def _read(home: Path, split: str) -> Listing:
    """List `Ebay_train.txt` or `Ebay_test.txt`: image_id class_id super_class_id path."""
    names: dict[str, str] = {}
    listing = Listing([], [])
    for _, number, _, path in read_rows(home / f"Ebay_{split}.txt", 4, skip=1):
        folder, _, file = path.rpartition("/")
        # It starts with the item number, by which the published code sorts.
        name = f"{file.partition('_')[0]} {folder.removesuffix('_final')} #{number}"
        listing.paths.append(str(home / path))
        listing.names.append(names.setdefault(number, name))
    return listing


class SOP(PublishedDataset):
    """Stanford Online Products: 11,318 classes for training, 11,316 for testing.

    The arguments are those of `PublishedDataset`.

    Source: Oh Song et al. (CVPR 2016).

    Example:
        >>> SOP("missing", split="test")
        Traceback (most recent call last):
            ...
        FileNotFoundError: There is no SOP in 'missing' or ... Get Stanford_Online_Products.zip ...
    """

    folders = ("Stanford_Online_Products", "SOP")
    layouts = (DiskLayout(("Ebay_train.txt", "Ebay_test.txt"), _read), CONVERTED)
    expected: ClassVar = {"train": Size(59551, 11318), "test": Size(60502, 11316)}
    instructions = (
        "Get Stanford_Online_Products.zip from https://cvgl.stanford.edu/projects/lifted_struct/ "
        "and unpack it there."
    )
