"""Folder: your own images, one folder per class; and the search for image files in folders."""

import os
from collections import Counter
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import ClassVar, NoReturn

from PIL import features

from gcahng.data.datasets.base import Transform, split_classes
from gcahng.data.datasets.files import FileDataset, Listing, shorten
from gcahng.files import printable
from gcahng.pictures import PictureFile

EXPECTED = (
    "expected one folder of images per class, either inside train/ and test/ or, for a random "
    "class split, directly in this folder"
)
# Accepted names of the folder of the validation split.
VALIDATION = ("val", "valid", "validation")
SUFFIXES = {".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"}
SUFFIXES |= {".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
if "avif" in features.get_supported_modules():  # Pillow can be built without it
    SUFFIXES.add(".avif")


class Folder(FileDataset):
    """Images in one folder per class, inside `train/` and `test/` or split at random.

    A folder `val/`, `valid/` or `validation/` beside `train/` and `test/` is the validation split.
    Without `train/` and `test/`, a random `test_share` of the classes forms the test split.
    Images in subfolders of a class folder belong to the class; hidden files and files that are
    not images are ignored.

    Args:
        root: The folder itself, or the base folder of `path`.
        split: 'train', 'test', or 'val' if there is a validation split.
        transform: As in `FileDataset`; likewise `unreadable`.
        path: The folder, absolute or relative to `root`; None takes `root` itself.
        test_share: Fraction of the classes to test on in a random split, in (0, 1).
        seed: Seed ≥ 0 of a random split.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has too few classes, or an argument is unknown.

    Example:
        >>> for name in ("ant", "bee", "cat", "dog"):
        ...     Path("pets", name).mkdir(parents=True)
        ...     Path("pets", name, "1.png").touch()
        >>> sorted(Folder("pets").classes + Folder("pets", "test").classes)
        ['ant', 'bee', 'cat', 'dog']
    """

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "test", "val")

    def __init__(
        self,
        root: str | Path | None,
        split: str = "train",
        transform: Transform | None = None,
        unreadable: str = "stop",
        path: str | None = None,
        test_share: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.path, self.test_share, self.seed = path, test_share, seed
        super().__init__(root, split, transform, unreadable)
        self.SPLITS = tuple(split_folders(self.home) or ("train", "test"))  # type: ignore[misc]

    @property
    def name(self) -> str:
        """The folder's name."""
        return printable(self.home.resolve().name)

    @property
    def home(self) -> Path:
        """The folder that contains the class folders, or `train/` and `test/`."""
        return self.folder / (self.path or "")

    def list_images(self) -> Listing:
        """List the class folders of the split."""
        if not self.home.is_dir():
            raise FileNotFoundError(f"There is no folder '{self.home}': {EXPECTED}.")
        folders = split_folders(self.home)
        if self.split == "val" and "val" not in folders:
            raise ValueError(
                f"'{self.home}' has no validation split: expected val/, valid/ or validation/ "
                "beside train/ and test/."
            )
        folder = folders.get(self.split, self.home)
        listing = class_folders(folder)
        names, least = sorted(set(listing.names)), 2 if folders else 4
        if len(names) < least:
            raise ValueError(
                f"'{folder}' has {len(names)} of at least {least} class folders with images "
                f"({shorten(names, 3) or 'none'}): {EXPECTED}."
            )
        if folders:
            return listing
        train, test = split_classes(len(names), self.test_share, self.seed, "test")
        selected = {names[i] for i in (train if self.split == "train" else test)}
        return listing.keep([i for i, name in enumerate(listing.names) if name in selected])


def split_folders(home: Path) -> dict[str, Path]:
    """Return the folder of each split; nothing without `train/` and `test/`."""
    folders = {split: home / split for split in ("train", "test")}
    if not all(folder.is_dir() for folder in folders.values()):
        return {}
    validation = [home / name for name in VALIDATION if (home / name).is_dir()]
    return {**folders, "val": validation[0]} if validation else folders


def labelled_pictures(home: Path) -> list[PictureFile]:
    """List all pictures of a folder, with the class and the split that a training gives them.

    Pictures outside of class folders have no class. Folders beside `train/` and `test/`, which no
    training uses, are classes without a split.
    """
    splits = split_folders(home)
    found = []
    for split, folder in [(None, home), *splits.items()]:
        loose = [one for one in _entries(folder) if is_picture(one.name) and not one.is_dir()]
        found += [PictureFile(one.path, None, split) for one in loose]
        listing = class_folders(folder, list(splits.values()))
        found += map(PictureFile, listing.paths, listing.names, repeat(split))
    return found


def class_folders(folder: Path, splits: Sequence[Path] = ()) -> Listing:
    """List the images of a folder with one subfolder per class, as `ImageFolder` does.

    Images in deeper subfolders belong to the class. Ignored are hidden files and folders, class
    folders without images, and the folders `splits`, which are no classes.
    """
    paths: list[str] = []
    names: list[str] = []
    others: Counter[str] = Counter()
    empty: list[str] = []
    for entry in _entries(folder):
        if entry.name.startswith(".") or not entry.is_dir() or Path(entry.path) in splits:
            continue
        found, other = picture_files(Path(entry.path))
        name = printable(entry.name)
        paths += found
        names += [name] * len(found)
        others += other
        empty += [] if found else [name]
    formats = [f"{count} {suffix or 'without suffix'}" for suffix, count in others.items()]
    ignored = {"files in formats that are not supported": formats}
    ignored["folders without an image"] = empty
    notes = [f"Ignored in '{folder}': {w}: {shorten(x, 3)}." for w, x in ignored.items() if x]
    return Listing(paths, names, notes=tuple(notes))


def picture_files(folder: Path) -> tuple[list[str], Counter[str]]:
    """List the image files in a folder and its subfolders, sorted, without hidden files.

    Returns:
        The paths of the image files, and the number of other files by suffix.
    """
    found: list[str] = []
    others: Counter[str] = Counter()
    seen: set[str] = set()
    for current, folders, files in os.walk(folder, onerror=_stop, followlinks=True):
        # Visit each real folder once, because links can form cycles.
        if (real := os.path.realpath(current)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            if is_picture(name):
                found.append(os.path.join(current, name))
            else:
                others[os.path.splitext(name)[1].lower()] += 1
    return found, others


def is_picture(name: str) -> bool:
    """Whether a file name has the suffix of an image (in any case) and is not hidden."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda one: one.name)
    except OSError as error:
        _stop(error)


def _stop(error: OSError) -> NoReturn:
    # `os.walk` would skip the folder, and the data set would lack a class without a word.
    raise OSError(
        f"Cannot read the folder '{error.filename}' ({error.strerror}); correct its permissions, "
        "or move it out of the data set."
    ) from error
