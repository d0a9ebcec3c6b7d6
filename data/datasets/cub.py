"""CUB: Caltech-UCSD Birds-200-2011, photos of birds labelled by species."""

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

LAST_TRAIN_CLASS = 100


def _read(home: Path, split: str) -> Listing:
    """List the original archive; its `train_test_split.txt` splits images, not classes: unused."""
    classes = dict(read_rows(home / "classes.txt", 2))
    class_of = dict(read_rows(home / "image_class_labels.txt", 2))
    listing = Listing([], [])
    for image, path in read_rows(home / "images.txt", 2):
        number = class_of[image]
        if (int(number) <= LAST_TRAIN_CLASS) == (split == "train"):
            listing.paths.append(str(home / "images" / path))
            listing.names.append(classes[number])
    return listing


class CUB(PublishedDataset):
    """CUB-200-2011: classes 1-100 for training, 101-200 for testing.

    The arguments are those of `PublishedDataset`.

    Source: Wah et al. (Caltech technical report CNS-TR-2011-001, 2011).

    Example:
        >>> CUB("missing", split="test")
        Traceback (most recent call last):
            ...
        FileNotFoundError: There is no CUB in 'missing' or ... Get CUB_200_2011.tgz from ...
    """

    folders = ("CUB_200_2011", "CUB200", "CUB")
    layouts = (
        DiskLayout(("images.txt", "image_class_labels.txt", "classes.txt", "images/"), _read),
        CONVERTED,
    )
    expected: ClassVar = {"train": Size(5864, 100), "test": Size(5924, 100)}
    instructions = (
        "Get CUB_200_2011.tgz from https://data.caltech.edu/records/65de6-vp158 and unpack it "
        "there."
    )
