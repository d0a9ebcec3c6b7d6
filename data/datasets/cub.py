"""CUB: Caltech-UCSD Birds-200-2011, birds by species."""

from pathlib import Path
from typing import ClassVar

from gcahng.data.datasets.files import Listing
from gcahng.data.datasets.published_dataset import (
    CONVERTED,
    Archive,
    DiskLayout,
    PublishedDataset,
    Size,
    Source,
    read_rows,
)

LAST_TRAIN_CLASS = 100


def _read(home: Path, split: str) -> Listing:
    """List the archive as it is; `train_test_split.txt` divides images, not classes."""
    classes = dict(read_rows(home / "classes.txt", 2))
    class_of = dict(read_rows(home / "image_class_labels.txt", 2))
    listing = Listing([], [])
    for image, path in read_rows(home / "images.txt", 2):
        number = class_of.get(image, "")
        if number not in classes or not number.isdecimal():
            raise ValueError(
                f"'{home}': image {image} of images.txt has no class in image_class_labels.txt and "
                "classes.txt; unpack the archive again."
            )
        if (int(number) <= LAST_TRAIN_CLASS) == (split == "train"):
            listing.paths.append(str(home / "images" / path))
            listing.names.append(classes[number])
    return listing


class CUB(PublishedDataset):
    """Birds of 200 species: the first 100 to train on, the last 100 to test.

    The arguments are `PublishedDataset`'s.
    """

    folders = ("CUB_200_2011", "CUB200", "CUB")
    layouts = (
        DiskLayout(("images.txt", "image_class_labels.txt", "classes.txt", "images/"), _read),
        CONVERTED,
    )
    expected: ClassVar = {"train": Size(5864, 100), "test": Size(5924, 100)}
    source = Source(
        "https://data.caltech.edu/records/65de6-vp158",
        "Get CUB_200_2011.tgz from https://data.caltech.edu/records/65de6-vp158 and unpack it "
        "there.",
        (
            Archive(
                "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
                "97eceeb196236b17998738112f37df78",
                "CUB_200_2011",
            ),
        ),
    )
