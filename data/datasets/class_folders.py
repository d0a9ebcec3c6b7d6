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

SHOWN = 3
SUFFIXES = frozenset(
    (
        *(".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
        # Only if Pillow was built with AVIF support.
        *((".avif",) if "avif" in features.get_supported_modules() else ()),
    )
)


def class_folders(folder: Path, splits: Sequence[Path] = ()) -> Listing:
    """List the images of a folder with one subfolder per class, as `ImageFolder` does.

    Images in deeper subfolders belong to the class. Ignored are hidden files and folders, class
    folders without images, and links inside a class folder that lead to images of other classes.

    Args:
        folder: The folder that contains the class folders.
        splits: The folders of all splits of the data set; by default only `folder`.

    Raises:
        OSError: If one of the folders cannot be read.
    """
    paths: list[str] = []
    names: list[str] = []
    others: Counter[str] = Counter()
    empty = []
    links = _ForeignLinks(splits or [folder])
    for subfolder in _subfolders(folder):
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
        splits: The folders that contain the class folders.
    """

    def __init__(self, splits: Sequence[Path]) -> None:
        self.splits = splits
        self.found: list[str] = []

    @cached_property
    def classes(self) -> list[str]:
        """The real paths of all class folders, needed only if there is a link."""
        return [os.path.realpath(path) for split in self.splits for path in _subfolders(split)]

    def lead_out_of(self, subfolder: Path) -> Callable[[str], bool]:
        """Return a function that tells whether a path in a class folder is such a link."""

        def leads_out(path: str) -> bool:
            if not os.path.islink(path):
                return False
            own, target = os.path.realpath(subfolder), os.path.realpath(path)
            foreign = not _is_within(target, own) and any(
                _is_within(name, target) or _is_within(target, name) for name in self.classes
            )
            self.found += [path] if foreign else []
            return foreign

        return leads_out


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


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
