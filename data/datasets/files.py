"""Data sets of image files, read on demand."""

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from gcahng.data.datasets.base import ImageDataset, Transform
from gcahng.pictures import examine_all, read_image

ADVICE = (
    "repair or remove it, or skip unreadable images with unreadable=skip (in an experiment: "
    "data.args.unreadable=skip)"
)


@dataclass(frozen=True)
class Listing:
    """The image files of one split.

    Attributes:
        paths: The file of each image.
        names: The class name of each image.
        is_query: Whether each image is a query; None if every image is a query against all others.
        notes: Remarks on the list, one sentence each, for `verify`.
    """

    paths: list[str]
    names: list[str]
    is_query: list[bool] | None = None
    notes: tuple[str, ...] = ()

    def keep(self, indices: Sequence[int]) -> "Listing":
        """Return a listing of the selected images only."""
        return Listing(
            [self.paths[i] for i in indices],
            [self.names[i] for i in indices],
            None if self.is_query is None else [self.is_query[i] for i in indices],
            self.notes,
        )


def shorten(items: Sequence[str], shown: int) -> str:
    """Join the first `shown` items and append the number of the others."""
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(items[:shown]) + more


class EmptySplitError(ValueError):
    """A split has no image."""


class FileDataset(ImageDataset):
    """Images in files. A subclass lists the files and classes of a split in `list_images`.

    Classes are sorted by name and numbered from 0, as in torchvision's `ImageFolder` and the
    published checkpoints.

    Args:
        root: The folder that holds the data set.
        split: One of `SPLITS`.
        transform: Applied to an RGB PIL image; None returns the image unchanged.
        unreadable: 'stop' raises when a missing or damaged image is loaded; 'skip' decodes every
            image once on construction and leaves those out with a warning, which takes about 1 ms
            per image of the published data sets and 10 ms per full-size camera photo.

    Raises:
        FileNotFoundError: If the data set is missing.
        ValueError: If an argument is unknown, or no image remains.

    Attributes:
        paths: The `N` files.
        notes: As in `Listing`.

    Example:
        >>> class Pets(FileDataset):
        ...     def list_images(self):
        ...         paths = [str(self.folder / name) for name in ("1.jpg", "2.jpg", "3.jpg")]
        ...         return Listing(paths, names=["dog", "cat", "dog"])
        >>> pets = Pets("photos")  # images are read on demand
        >>> pets.classes, pets.labels
        (['cat', 'dog'], tensor([1, 0, 1]))
    """

    transform_name = "imagenet"

    paths: list[str]
    notes: tuple[str, ...]

    def __init__(
        self,
        root: str | Path | None,
        split: str = "train",
        transform: Transform | None = None,
        unreadable: str = "stop",
    ) -> None:
        super().__init__(root, split, transform)
        if unreadable not in ("skip", "stop"):
            raise ValueError(
                f"Unknown value '{unreadable}' of 'unreadable': choose one of skip, stop."
            )
        listing = self.list_images()
        if unreadable == "skip":
            listing = _skip_unreadable(listing)
        if not listing.paths:
            raise EmptySplitError(
                f"The {split} split of {self.name} has no readable image; check '{root}'."
            )
        self.classes = sorted(set(listing.names), key=self.class_order)
        number = {name: i for i, name in enumerate(self.classes)}
        self.labels = torch.tensor([number[name] for name in listing.names])
        self.paths, self.notes = listing.paths, listing.notes
        if listing.is_query is not None:
            self.is_query = torch.tensor(listing.is_query)

    @abstractmethod
    def list_images(self) -> Listing:
        """List the images of `self.split` under `self.root`."""

    @staticmethod
    def class_order(name: str) -> Any:
        """Sort key of a class name, which determines the class numbers."""
        return name

    @property
    def folder(self) -> Path:
        """The root folder, which is required here; a ValueError without one."""
        if self.root is None:
            raise ValueError(
                f"{type(self).__name__} reads its images from files: set 'root' to their folder."
            )
        return self.root

    def load(self, index: int) -> Image.Image:
        """Return the image as upright RGB; a ValueError or FileNotFoundError names its file."""
        return read_image(self.paths[index], ADVICE)

    def load_reduced(self, index: int, shortest: int | None) -> Image.Image:
        """Return the image as `load` does; a large JPEG is decoded at a reduced size.

        A subclass that overrides `load` alone gets images of full size.
        """
        own = type(self).load is not FileDataset.load
        return self.load(index) if own else read_image(self.paths[index], ADVICE, shortest)


def _skip_unreadable(listing: Listing) -> Listing:
    """Return the listing without unreadable files, with one warning."""
    results = list(examine_all(listing.paths))
    bad = [f"'{result.path}' ({result.problem})" for result in results if result.problem]
    if not bad:
        return listing
    # With this stack level the warning points at the code that constructs the data set.
    warnings.warn(
        f"Skipped {len(bad)} of {len(results)} images because they cannot be read: "
        f"{shorten(bad, 3)}.",
        stacklevel=3,
    )
    return listing.keep([i for i, result in enumerate(results) if not result.problem])
