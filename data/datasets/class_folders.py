"""Find image files in folders, one folder per class."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from PIL import features

from gcahng.data.datasets.listing import Listing, shorten
from gcahng.files import printable
from gcahng.pictures import PictureFile

SHOWN = 3
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
    empty = []
    links = _ForeignLinks(folder, splits or [folder])
    for subfolder in _subfolders(folder):
        if subfolder in splits or links.repeats(subfolder):
            continue
        found, other = picture_files(subfolder, links.lead_out_of(subfolder))
        name = printable(subfolder.name)
        paths += found
        names += [name] * len(found)
        others += other
        empty += [] if found else [name]
    return Listing(paths, names, notes=tuple(_ignored_notes(folder, others, empty, links.found)))


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


class _ForeignLinks:
    """Finds links to folders that would add images of other classes to a class.

    Args:
        folder: The folder that contains the class folders.
        splits: The folders of all splits, which contain the class folders.
    """

    def __init__(self, folder: Path, splits: Sequence[Path]) -> None:
        self.folder, self.splits = folder, splits
        self.found: list[str] = []

    @cached_property
    def classes(self) -> list[str]:
        """The real paths of all class folders, needed only if there is a link."""
        return [os.path.realpath(path) for split in self.splits for path in _subfolders(split)]

    def repeats(self, subfolder: Path) -> bool:
        """Whether a class folder is a link to images of the other ones of its folder."""
        if not subfolder.is_symlink():
            return False
        home, target = os.path.realpath(self.folder), os.path.realpath(subfolder)
        beside = [os.path.realpath(p) for p in _subfolders(self.folder) if not p.is_symlink()]
        foreign = _is_within(home, target) or any(_overlap(name, target) for name in beside)
        self.found += [str(subfolder)] if foreign else []
        return foreign

    def lead_out_of(self, subfolder: Path) -> Callable[[str], bool]:
        """Return a function that tells whether a path in a class folder is such a link."""

        def leads_out(path: str) -> bool:
            if not os.path.islink(path):
                return False
            own, target = os.path.realpath(subfolder), os.path.realpath(path)
            foreign = not _is_within(target, own) and any(
                _overlap(name, target) for name in self.classes
            )
            self.found += [path] if foreign else []
            return foreign

        return leads_out


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


def _ignored_notes(
    folder: Path, others: Counter[str], empty: list[str], links: list[str]
) -> Iterator[str]:
    """Report ignored files, class folders without images, and links."""
    if others:
        kinds = ", ".join(
            f"{count} {suffix or 'without suffix'}" for suffix, count in others.items()
        )
        yield (
            f"{_ignored(others.total(), 'file', folder)}, in formats that are not supported "
            f"({kinds}); convert those that are images."
        )
    if empty:
        yield (
            f"{_ignored(len(empty), 'folder', folder)}, without an image: {shorten(empty, SHOWN)}."
        )
    if links:
        yield (
            f"{_ignored(len(links), 'link', folder)}, leading to images of other classes: "
            f"{shorten(links, SHOWN)}."
        )


def _ignored(number: int, what: str, folder: Path) -> str:
    many, verb = ("", "is") if number == 1 else ("s", "are")
    return f"{number} {what}{many} in '{folder}' {verb} ignored"
