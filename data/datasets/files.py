"""Data sets of picture files, read on demand."""

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
    """The images of one split.

    Attributes:
        paths: The file of each image.
        names: The class of each image.
        is_query: Whether each image is a query, or None where every image queries all others.
        problems: Sentences about what is wrong with the list itself, for `verify`.
        notes: Sentences about what is worth knowing of it, for `verify`.
    """

    paths: list[str]
    names: list[str]
    is_query: list[bool] | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def keep(self, kept: Sequence[int]) -> "Listing":
        """Return the list of these images only."""
        is_query = None if self.is_query is None else [self.is_query[i] for i in kept]
        paths, names = [self.paths[i] for i in kept], [self.names[i] for i in kept]
        return Listing(paths, names, is_query, self.problems, self.notes)


class FileDataset(ImageDataset):
    """Images in files. A subclass lists a split's files and their classes in `list_images`.

    Classes are numbered in the order of their names, as torchvision's `ImageFolder` does and the
    published checkpoints have it.

    Args:
        root: The folder that holds the data set.
        split: One of `SPLITS`.
        transform: Maps an RGB picture; None returns it as it is.
        unreadable: What to do about a missing or damaged picture. 'stop' raises when it is loaded.
            'skip' decodes every picture once when the data set is opened and leaves out, with a
            warning, what cannot be read, so that an epoch cannot fail half-way. That takes about a
            millisecond for a picture of a benchmark, and ten for a camera's full size.

    Raises:
        FileNotFoundError: If the data set is not there.
        ValueError: If an argument is unknown or no image is left.

    Attributes:
        paths: The `N` files.
        problems: Sentences about what is wrong with the list of images; `verify` reports them.
        notes: Sentences about what is worth knowing of it; `verify` reports them.
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
                f"Unknown word '{unreadable}' for 'unreadable': choose one of "
                f"{', '.join(UNREADABLE)}."
            )
        listing = self.list_images()
        if unreadable == "skip":
            listing = _readable(listing)
        if not listing.paths:
            raise ValueError(
                f"The {split} split of {self.name} has no image that can be read; look into "
                f"'{root}'."
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
        """List the images of `self.split`, found under `self.root`."""

    @staticmethod
    def class_order(name: str) -> Any:
        """What the classes are sorted by."""
        return name

    @property
    def folder(self) -> Path:
        """The root, which picture files cannot do without.

        Raises:
            ValueError: If it is None.
        """
        if self.root is None:
            raise ValueError(
                f"{type(self).__name__} reads its images from files: name their folder as 'root'."
            )
        return self.root

    def load(self, index: int) -> Image.Image:
        """Return the picture, upright RGB.

        Raises:
            FileNotFoundError: If its file is not there.
            ValueError: If it cannot be decoded.
        """
        return read_image(
            self.paths[index],
            "mend or remove it, or leave unreadable images out with data.args.unreadable=skip",
        )


def class_folders(folder: Path) -> Listing:
    """List the pictures of a folder that has one subfolder per class, as `ImageFolder` does.

    A class's own subfolders count to it; hidden files and folders, and classes without a picture,
    do not count.
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
    return Listing(paths, names, notes=tuple(_left_out(folder, others, empty)))


def _left_out(folder: Path, others: Counter[str], empty: list[str]) -> Iterator[str]:
    """Say what of a folder is no picture."""
    if others:
        kinds = ", ".join(
            f"{count} {suffix or 'without suffix'}" for suffix, count in others.items()
        )
        yield (
            f"{others.total()} files in '{folder}' are of kinds that are not read, and left out "
            f"({kinds}); convert those that are pictures."
        )
    if empty:
        yield (
            f"{len(empty)} folders in '{folder}' hold no picture and make no class: "
            f"{shorten(empty, SHOWN)}."
        )


def shorten(items: Sequence[str], shown: int) -> str:
    """Name the first few of many, and how many more there are."""
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(items[:shown]) + more


def _readable(listing: Listing) -> Listing:
    """Leave out what cannot be read, with one warning."""
    results = list(examine_all(listing.paths))
    bad = [f"'{result.path}' ({result.problem})" for result in results if result.problem]
    if not bad:
        return listing
    # The level makes the warning point at whoever opens the data set.
    warnings.warn(
        f"Left out {len(bad)} of {len(results)} images, which cannot be read: "
        f"{shorten(bad, SHOWN)}.",
        stacklevel=3,
    )
    return listing.keep([i for i, result in enumerate(results) if not result.problem])
