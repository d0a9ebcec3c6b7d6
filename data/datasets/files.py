"""Data sets of image files, read on demand."""

import warnings
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from gcahng.data.datasets.base import ImageDataset, Transform
from gcahng.data.datasets.pictures import examine_all, picture_files, read_image

UNREADABLE = ("skip", "stop")
SHOWN = 3


@dataclass(frozen=True)
class Listing:
    """The image files of one split.

    Attributes:
        paths: The file of each image.
        names: The class name of each image.
        is_query: Whether each image is a query; None if every image is a query against all others.
        problems: Errors in the list itself, one sentence each, reported by `verify`.
        notes: Remarks on the list, one sentence each, reported by `verify`.

    Example:
        >>> Listing(["1.jpg", "2.jpg"], ["cat", "dog"]).keep([1]).names
        ['dog']
    """

    paths: list[str]
    names: list[str]
    is_query: list[bool] | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def keep(self, indices: Sequence[int]) -> "Listing":
        """Return a listing of the selected images only."""
        is_query = None if self.is_query is None else [self.is_query[i] for i in indices]
        paths, names = [self.paths[i] for i in indices], [self.names[i] for i in indices]
        return Listing(paths, names, is_query, self.problems, self.notes)


class FileDataset(ImageDataset):
    """Images in files. A subclass lists the files and classes of a split in `list_images`.

    Classes are sorted by name and numbered from 0, as in torchvision's `ImageFolder` and the
    published checkpoints.

    Args:
        root: The folder that holds the data set.
        split: One of `SPLITS`.
        transform: Applied to an RGB PIL image; None returns the image unchanged.
        unreadable: How to handle missing or damaged images. 'stop' raises when one is loaded.
            'skip' decodes every image once on construction and skips unreadable ones with a
            warning, so training cannot fail later. This takes about 1 ms per image of the
            published data sets and 10 ms per full-size camera photo.

    Raises:
        FileNotFoundError: If the data set is missing.
        ValueError: If an argument is unknown, or no image remains.

    Attributes:
        paths: The `N` files.
        problems: Errors in the list of images, one sentence each, reported by `verify`.
        notes: Remarks on the list, one sentence each, reported by `verify`.

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
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def __init__(
        self,
        root: str | Path | None,
        split: str = "train",
        transform: Transform | None = None,
        unreadable: str = "stop",
    ) -> None:
        super().__init__(root, split, transform)
        if unreadable not in UNREADABLE:
            raise ValueError(
                f"Unknown value '{unreadable}' of 'unreadable': choose one of "
                f"{', '.join(UNREADABLE)}."
            )
        listing = self.list_images()
        if unreadable == "skip":
            listing = _skip_unreadable(listing)
        if not listing.paths:
            raise ValueError(
                f"The {split} split of {self.name} has no readable image; check '{root}'."
            )
        self.classes = sorted(set(listing.names), key=self.class_order)
        number = {name: i for i, name in enumerate(self.classes)}
        self.labels = torch.tensor([number[name] for name in listing.names])
        self.paths = listing.paths
        self.problems, self.notes = listing.problems, listing.notes
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
        """The root folder, which is required here.

        Raises:
            ValueError: If `root` is None.
        """
        if self.root is None:
            raise ValueError(
                f"{type(self).__name__} reads its images from files: set 'root' to their folder."
            )
        return self.root

    def load(self, index: int) -> Image.Image:
        """Return the image as upright RGB.

        Raises:
            FileNotFoundError: If the file is missing.
            ValueError: If the file cannot be decoded.
        """
        return read_image(
            self.paths[index],
            "repair or remove it, or skip unreadable images with unreadable=skip (in an "
            "experiment: data.args.unreadable=skip)",
        )


def class_folders(folder: Path) -> Listing:
    """List the images of a folder with one subfolder per class, as `ImageFolder` does.

    Images in deeper subfolders belong to the class. Hidden files and folders, and class folders
    without images, are ignored.
    """
    paths: list[str] = []
    names: list[str] = []
    others: Counter[str] = Counter()
    empty = []
    for subfolder in sorted(folder.iterdir()):
        if subfolder.is_dir() and not subfolder.name.startswith("."):
            found, other = picture_files(subfolder)
            paths += found
            names += [subfolder.name] * len(found)
            others += other
            empty += [] if found else [subfolder.name]
    return Listing(paths, names, notes=tuple(_ignored_notes(folder, others, empty)))


def _ignored_notes(folder: Path, others: Counter[str], empty: list[str]) -> Iterator[str]:
    """Report ignored files and class folders without images."""
    if others:
        kinds = ", ".join(
            f"{count} {suffix or 'without suffix'}" for suffix, count in others.items()
        )
        yield (
            f"{others.total()} files in '{folder}' are ignored because their format is not "
            f"supported ({kinds}); convert those that are images."
        )
    if empty:
        yield (
            f"{len(empty)} folders in '{folder}' are ignored because they contain no image: "
            f"{shorten(empty, SHOWN)}."
        )


def shorten(items: Sequence[str], shown: int) -> str:
    """Join the first `shown` items and append the number of the others."""
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(items[:shown]) + more


def _skip_unreadable(listing: Listing) -> Listing:
    """Return the listing without unreadable files, with one warning."""
    results = list(examine_all(listing.paths))
    bad = [f"'{result.path}' ({result.problem})" for result in results if result.problem]
    if not bad:
        return listing
    # With this stack level the warning points at the code that constructs the data set.
    warnings.warn(
        f"Skipped {len(bad)} of {len(results)} images because they cannot be read: "
        f"{shorten(bad, SHOWN)}.",
        stacklevel=3,
    )
    return listing.keep([i for i, result in enumerate(results) if not result.problem])
