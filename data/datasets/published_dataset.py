"""Base class of the published data sets: how to find them on disk, and to download them."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from gcahng.data.datasets.base import ImageDataset
from gcahng.data.datasets.class_folders import class_folders
from gcahng.data.datasets.files import FileDataset, Listing
from gcahng.reasons import first_line

# The deepest usual path below the root: `<data set>/original/<folder of the archive>`.
SEARCH_DEPTH = 3


@dataclass(frozen=True)
class Archive:
    """One archive to download.

    Attributes:
        url: Its URL; the last component is the file name.
        md5: Its MD5 checksum.
        folder: The top folder inside the archive.
    """

    url: str
    md5: str
    folder: str


@dataclass(frozen=True)
class Source:
    """Where to get a data set.

    Attributes:
        instructions: One sentence on how to get it by hand.
        archives: What `download` fetches; empty if it must be downloaded by hand.
    """

    instructions: str
    archives: tuple[Archive, ...] = ()


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
        transform: As in `FileDataset`.
        unreadable: As in `FileDataset`.

    Raises:
        FileNotFoundError: If the data set is missing; the message says how to get it.
        ValueError: If one of its files is invalid, or an argument is unknown.

    Attributes:
        folders: Accepted names of its folder; case, spaces, '-' and '_' are ignored.
        layouts: Supported arrangements of its files; the first complete one is read.
        expected: The published size of each part.
        source: Where to get it.

    Example:
        >>> import tempfile
        >>> from gcahng.data import CUB
        >>> CUB.expected["test"]
        Size(images=5924, classes=100)
        >>> with tempfile.TemporaryDirectory() as empty:
        ...     print(CUB.find(empty))
        None
    """

    folders: ClassVar[tuple[str, ...]]
    layouts: ClassVar[tuple[DiskLayout, ...]]
    expected: ClassVar[dict[str, Size]]
    source: ClassVar[Source]

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
        if found is None:
            raise FileNotFoundError(self._not_found_message())
        home, layout = found
        return layout.read(home, self.split)

    def _not_found_message(self) -> str:
        """Return where the data set was searched, what was expected, and how to get it."""
        expected = ", or ".join(" and ".join(layout.required) for layout in self.layouts)
        incomplete = [
            f"'{home}' lacks {' and '.join(missing)}"
            for home in _candidate_folders(self.folder, self.folders)
            for layout in self.layouts
            if len(missing := layout.missing(home)) < len(layout.required)
        ]
        return (
            f"There is no {self.name} in '{self.folder}' or its subfolders named "
            f"{' or '.join(self.folders)}: looked for {expected}"
            f"{f' ({incomplete[0]})' if incomplete else ''}. {self.source.instructions}"
        )


# The class folders written by the conversion scripts of the published code.
CONVERTED = DiskLayout(
    ("class/train/", "class/test/"),
    lambda home, split: class_folders(
        home / "class" / split, [home / "class" / name for name in ("train", "test")]
    ),
)


def download(dataset: type[ImageDataset], root: str | Path) -> Path:
    """Download a data set into `root`; if it is already there, only warn.

    An archive that is already in `root` (downloaded by hand) is unpacked and kept.

    Args:
        dataset: A published data set with archives in its `source`.
        root: The folder that holds all data sets; created if missing.

    Returns:
        The data set's folder.

    Raises:
        ValueError: If the data set must be downloaded by hand, or an archive lacks files.
        OSError: If an archive cannot be downloaded or unpacked, or is not the published one.

    Example:
        >>> from gcahng.data import Cars
        >>> download(Cars, "datasets")
        Traceback (most recent call last):
            ...
        ValueError: Cars must be downloaded by hand into 'datasets'. Its homepage no longer ...
    """
    if not issubclass(dataset, PublishedDataset):
        raise ValueError(f"{dataset.__name__} has nothing to download.")
    root, source = Path(root), dataset.source
    if (found := dataset.find(root)) is not None:
        warnings.warn(
            f"{dataset.__name__} is already in '{found[0]}': nothing was downloaded.", stacklevel=2
        )
        return found[0]
    if not source.archives:
        raise ValueError(
            f"{dataset.__name__} must be downloaded by hand into '{root}'. {source.instructions}"
        )
    from torchvision.datasets.utils import download_and_extract_archive

    root.mkdir(parents=True, exist_ok=True)
    for archive in source.archives:
        target, local = root / archive.folder, root / PurePosixPath(archive.url).name
        if target.exists():
            raise ValueError(f"'{target}' exists but is incomplete: move it away and try again.")
        try:
            kept = local.exists()
            with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as temporary:
                download_and_extract_archive(archive.url, str(root), temporary, md5=archive.md5)
                Path(temporary, archive.folder).rename(target)
            if not kept:
                local.unlink()
        except (OSError, RuntimeError) as error:
            raise OSError(
                f"Cannot get {archive.url} ({first_line(error)}): try again, or download it by "
                f"hand. {source.instructions}"
            ) from error
    found = dataset.find(root)
    if found is None:
        raise ValueError(
            f"{dataset.__name__} was downloaded to '{root}' but lacks files. {source.instructions}"
        )
    return found[0]


def read_rows(path: Path, columns: int, skip: int = 0) -> Iterator[list[str]]:
    """Read a text table with whitespace-separated columns; the last may contain spaces.

    Args:
        path: The file.
        columns: Number of columns.
        skip: Number of lines before the table.

    Yields:
        The cells of each non-empty line.

    Raises:
        ValueError: If a line has too few columns.
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
    """Read a UTF-8 text file of an archive, with or without a byte order mark.

    Raises:
        ValueError: If the file is not in UTF-8.
    """
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
