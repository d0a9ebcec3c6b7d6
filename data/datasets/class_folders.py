"""Folder: your own images, one folder per class; and the search for image files in folders."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
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
SUFFIXES = frozenset(
    (
        *(".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
        # Only if Pillow was built with AVIF support.
        *((".avif",) if "avif" in features.get_supported_modules() else ()),
    )
)


class Folder(FileDataset):
    """Images in one folder per class, inside `train/` and `test/` or split at random.

    A folder `val/`, `valid/` or `validation/` beside `train/` and `test/` is the validation split.
    Without `train/` and `test/`, a random `test_share` of the classes forms the test split.
    Images in subfolders of a class folder belong to the class; hidden files and files that are
    not images are ignored.

    Args:
        root: The folder itself, or the base folder of `path`.
        split: 'train', 'test', or 'val' if there is a validation split.
        transform: As in `FileDataset`.
        unreadable: As in `FileDataset`.
        path: The folder, absolute or relative to `root`; None takes `root` itself.
        test_share: Fraction of the classes to test on in a random split, in (0, 1).
        seed: Seed ≥ 0 of a random split.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has too few classes, or an argument is unknown.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("ant", "bee", "cat", "dog"):
        ...         Path(folder, name).mkdir()
        ...         Image.new("RGB", (8, 8)).save(Path(folder, name, "1.png"))
        ...     train, test = Folder(folder), Folder(folder, "test")
        ...     sorted(train.classes + test.classes), len(test)
        (['ant', 'bee', 'cat', 'dog'], 2)
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
        listing = class_folders(folder, list(folders.values()))
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
    """Return the folder of each split; nothing if the class folders are in `home` itself.

    A folder is divided into splits if it has both `train/` and `test/`.
    """
    folders = {split: home / split for split in ("train", "test")}
    if not all(folder.is_dir() for folder in folders.values()):
        return {}
    named = (home / name for name in VALIDATION)
    validation = next((folder for folder in named if folder.is_dir()), None)
    return folders if validation is None else {**folders, "val": validation}


def labelled_pictures(home: Path) -> list[PictureFile]:
    """List all pictures of a folder, with the class and the split that a training gives them.

    Pictures outside of class folders have no class. Folders beside `train/` and `test/`, which no
    training uses, are classes without a split.

    Raises:
        OSError: If one of the folders cannot be read.
    """
    splits = split_folders(home)
    found = []
    for split, folder in [(None, home), *splits.items()]:
        loose = [one for one in _entries(folder) if is_picture(one.name) and not one.is_dir()]
        found += [PictureFile(one.path, None, split) for one in loose]
        listing = class_folders(folder, list(splits.values()))
        pairs = zip(listing.paths, listing.names, strict=True)
        found += [PictureFile(path, name, split) for path, name in pairs]
    return found


def class_folders(folder: Path, splits: Sequence[Path] = ()) -> Listing:
    """List the images of a folder with one subfolder per class, as `ImageFolder` does.

    Images in deeper subfolders belong to the class. Ignored are hidden files and folders, class
    folders without images, and links that lead to images of other classes.

    Args:
        folder: The folder that contains the class folders.
        splits: The folders of all splits of the data set, which are no classes; by default only
            `folder`.

    Raises:
        OSError: If one of the folders cannot be read.
    """
    paths: list[str] = []
    names: list[str] = []
    others: Counter[str] = Counter()
    empty: list[str] = []
    links: list[str] = []
    homes = (*splits,) or (folder,)

    @cache
    def targets(homes: tuple[Path, ...], through_links: bool) -> list[str]:
        inside = (path for home in homes for path in _subfolders(home))
        return [os.path.realpath(path) for path in inside if through_links or not path.is_symlink()]

    def leads_out(path: str, own: Path | None) -> bool:
        """Whether a path, a class folder or in the one `own`, is a link to images of another."""
        if not os.path.islink(path):
            return False
        target = os.path.realpath(path)
        within = own is not None and _is_within(target, os.path.realpath(own))
        others = targets((folder,), False) if own is None else targets(homes, True)
        foreign = not within and any(_overlap(target, other) for other in others)
        links.extend([path] if foreign else [])
        return foreign

    for subfolder in _subfolders(folder):
        if subfolder in homes or leads_out(str(subfolder), None):
            continue
        found, other = picture_files(subfolder, partial(leads_out, own=subfolder))
        name = printable(subfolder.name)
        paths += found
        names += [name] * len(found)
        others += other
        empty += [] if found else [name]
    formats = [f"{count} {suffix or 'without suffix'}" for suffix, count in others.items()]
    ignored = {
        "files in formats that are not supported": formats,
        "folders without an image": empty,
        "links to images of other classes": links,
    }
    notes = [f"Ignored in '{folder}': {w}: {shorten(x, 3)}." for w, x in ignored.items() if x]
    return Listing(paths, names, notes=tuple(notes))


def picture_files(
    folder: Path, ignored: Callable[[str], bool] = lambda path: False
) -> tuple[list[str], Counter[str]]:
    """List the image files in a folder and its subfolders, sorted, without hidden files.

    Args:
        folder: The folder.
        ignored: Whether to ignore a subfolder, given its path.

    Returns:
        The paths of the image files, and the number of other files by suffix.

    Raises:
        OSError: If one of the folders cannot be read.
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
        visible = (name for name in folders if not name.startswith("."))
        folders[:] = sorted(name for name in visible if not ignored(os.path.join(current, name)))
        found += [os.path.join(current, name) for name in sorted(files) if is_picture(name)]
        others.update(
            _suffix(name) for name in files if not (name.startswith(".") or is_picture(name))
        )
    return found, others


def is_picture(name: str) -> bool:
    """Whether a file name has the suffix of an image (in any case) and is not hidden."""
    return not name.startswith(".") and _suffix(name) in SUFFIXES


def _overlap(path: str, other: str) -> bool:
    return _is_within(path, other) or _is_within(other, path)


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def _subfolders(folder: Path) -> list[Path]:
    visible = (one for one in _entries(folder) if not one.name.startswith("."))
    return [Path(one.path) for one in visible if one.is_dir()]


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


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
