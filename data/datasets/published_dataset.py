"""Base class of the published data sets: how to find them on disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gcahng.data.datasets.class_folders import class_folders
from gcahng.data.datasets.files import FileDataset, Listing

# The deepest usual path below the root: `<data set>/original/<folder of the archive>`.
SEARCH_DEPTH = 3


@dataclass(frozen=True)
class Size:
    """Numbers of images and classes in a part of a data set."""

    images: int
    classes: int


@dataclass(frozen=True)
class DiskLayout:
    """One arrangement of a data set's files on disk.

    Attributes:
        required: Files and folders that the data set's folder must contain; folders end in "/".
        read: Lists the images of a split, given the data set's folder and the split.
    """

    required: tuple[str, ...]
    read: Callable[[Path, str], Listing]

    def missing(self, home: Path) -> list[str]:
        """Return the entries of `required` that are missing from `home`."""
        there = {True: Path.is_dir, False: Path.is_file}
        return [name for name in self.required if not there[name.endswith("/")](home / name)]


class PublishedDataset(FileDataset):
    """A published data set, read from its unpacked archive.

    Args:
        root: The folder that holds all data sets, or the data set's folder.
        split: 'train' or 'test'.
        transform: As in `FileDataset`; likewise `unreadable`.

    Raises:
        FileNotFoundError: If the data set is missing; the message says how to get it.
        ValueError: If one of its files is invalid, or an argument is unknown.

    Attributes:
        folders: Accepted names of its folder; case, spaces, '-' and '_' are ignored.
        layouts: Supported arrangements of its files; the first complete one is read.
        expected: The published size of each part.
        instructions: One sentence on how to get it.

    Example:
        >>> from gcahng.data import CUB
        >>> CUB.expected["test"]
        Size(images=5924, classes=100)
    """

    folders: ClassVar[tuple[str, ...]]
    layouts: ClassVar[tuple[DiskLayout, ...]]
    expected: ClassVar[dict[str, Size]]
    instructions: ClassVar[str]

    @classmethod
    def find(cls, root: str | Path) -> tuple[Path, DiskLayout] | None:
        """Return the data set's folder and the layout found there, or None if it is missing."""
        for home in _candidate_folders(Path(root), cls.folders):
            for layout in cls.layouts:
                if not layout.missing(home):
                    return home, layout
        return None

    def list_images(self) -> Listing:
        """List the images of the split in the data set's folder."""
        found = self.find(self.folder)
        if found is not None:
            home, layout = found
            return layout.read(home, self.split)
        expected = ", or ".join(" and ".join(layout.required) for layout in self.layouts)
        incomplete = [
            f" ('{home}' lacks {' and '.join(missing)})"
            for home in _candidate_folders(self.folder, self.folders)
            for layout in self.layouts
            if len(missing := layout.missing(home)) < len(layout.required)
        ]
        raise FileNotFoundError(
            f"There is no {self.name} in '{self.folder}' or its subfolders named "
            f"{' or '.join(self.folders)}: looked for {expected}{''.join(incomplete[:1])}. "
            f"{self.instructions}"
        )


# The class folders written by the conversion scripts of the published code.
CONVERTED = DiskLayout(
    ("class/train/", "class/test/"), lambda home, split: class_folders(home / "class" / split)
)


def read_rows(path: Path, columns: int, skip: int = 0) -> Iterator[list[str]]:
    """Yield the cells of each line with text of a table whose columns are separated by spaces.

    The last column may contain spaces; `skip` lines before the table are left out.
    """
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if number <= skip or not line.strip():
            continue
        cells = line.split(maxsplit=columns - 1)
        if len(cells) < columns:
            raise ValueError(
                f"{path}:{number}: expected {columns} columns separated by spaces, got "
                f"'{line.strip()}'; unpack the archive again."
            )
        yield [cell.rstrip() for cell in cells]


def read_text(path: Path) -> str:
    """Read a UTF-8 text file of an archive, with or without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"'{path}' is not in UTF-8 ({error.reason}); unpack the archive again."
        ) from error


def _candidate_folders(root: Path, names: tuple[str, ...]) -> list[Path]:
    """Return the root and all folders below it that may be the data set's folder."""
    wanted = {_normalize(name) for name in (*names, "original")}
    candidates, level = [root], [root]
    for _ in range(SEARCH_DEPTH):
        inside = [p for folder in level if folder.is_dir() for p in sorted(folder.iterdir())]
        level = [p for p in inside if _normalize(p.name) in wanted and p.is_dir()]
        candidates += level
    return candidates


def _normalize(name: str) -> str:
    return "".join(character for character in name.lower() if character not in " -_")
