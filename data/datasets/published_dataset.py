"""What the published benchmarks have in common: where to get them, and finding them on disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gcahng.data.datasets.files import FileDataset, Listing, class_folders

# `<all data sets>/<data set>/original/<archive's own folder>` is the deepest of the usual trees.
DEPTH = 3


@dataclass(frozen=True)
class Archive:
    """One file to download.

    Attributes:
        url: Its address; the last part is the file's name.
        md5: Its checksum.
        folder: The folder it unpacks to.
    """

    url: str
    md5: str
    folder: str


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes:
        homepage: Its authors' page.
        instructions: One sentence on how to get it.
        archives: What `download` fetches; none where that needs a person.
    """

    homepage: str
    instructions: str
    archives: tuple[Archive, ...] = ()


@dataclass(frozen=True)
class Size:
    """How large a part of a data set is."""

    images: int
    classes: int


@dataclass(frozen=True)
class DiskLayout:
    """One way in which a data set lies on disk.

    Attributes:
        needed: What its folder must hold; the names of folders end in "/".
        read: Lists the images of a split, given the folder and the split's name.
    """

    needed: tuple[str, ...]
    read: Callable[[Path, str], Listing]

    def missing(self, home: Path) -> list[str]:
        """Return what of `needed` is not in `home`."""
        return [name for name in self.needed if not _is_there(home, name)]


class PublishedDataset(FileDataset):
    """A published data set, read from where its archive was unpacked.

    Args:
        root: The folder that holds all data sets, or the data set's own folder.
        split: 'train' or 'test'.
        transform: As in `FileDataset`.
        unreadable: As in `FileDataset`.

    Raises:
        FileNotFoundError: If the data set is not there, with where to get it.
        ValueError: If a file of it does not read as it should, or an argument is unknown.

    Attributes:
        folders: What its folder may be called; case, blanks, '-' and '_' do not matter.
        layouts: The ways it may lie there; the first that is complete is read.
        expected: The size of each part.
        source: Where it comes from.
    """

    folders: ClassVar[tuple[str, ...]]
    layouts: ClassVar[tuple[DiskLayout, ...]]
    expected: ClassVar[dict[str, Size]]
    source: ClassVar[Source]

    @classmethod
    def find(cls, root: str | Path) -> tuple[Path, DiskLayout] | None:
        """Return the data set's folder and how it lies there, or None where it is not there."""
        for home in _homes(Path(root), cls.folders):
            for layout in cls.layouts:
                if not layout.missing(home):
                    return home, layout
        return None

    def list_images(self) -> Listing:
        """List the images of the split in the data set's folder."""
        found = self.find(self.folder)
        if found is None:
            raise FileNotFoundError(self._absence())
        home, layout = found
        return layout.read(home, self.split)

    def _absence(self) -> str:
        """Say what was looked for and where, and how to get it."""
        layouts = ", or ".join(" and ".join(layout.needed) for layout in self.layouts)
        lacks = [
            f"'{home}' lacks {' and '.join(missing)}"
            for home in _homes(self.folder, self.folders)
            for layout in self.layouts
            if len(missing := layout.missing(home)) < len(layout.needed)
        ]
        return (
            f"There is no {self.name} in '{self.folder}', nor in a folder of it called "
            f"{' or '.join(self.folders)}: looked for {layouts}"
            f"{f' ({lacks[0]})' if lacks else ''}. {self.source.instructions}"
        )


def converted(folder: Path, split: str) -> Listing:
    """List the class folders that the conversion scripts of the published code make."""
    return class_folders(folder / "class" / split)


CONVERTED = DiskLayout(("class/train/", "class/test/"), converted)


def read_rows(path: Path, columns: int, skip: int = 0) -> Iterator[list[str]]:
    """Read a text table with columns separated by blanks; the last may hold blanks itself.

    Args:
        path: The file.
        columns: How many there are.
        skip: How many lines come before the table.

    Yields:
        The cells of each line that is not empty.

    Raises:
        ValueError: If a line has fewer columns.
    """
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if number <= skip or not line.strip():
            continue
        cells = line.split(maxsplit=columns - 1)
        if len(cells) < columns:
            raise ValueError(
                f"{path}:{number}: expected {columns} columns separated by blanks, got "
                f"'{line.strip()}'; unpack the archive again."
            )
        yield [cell.rstrip() for cell in cells]


def read_text(path: Path) -> str:
    """Read a text file of an archive, whether or not an editor has put a mark before it.

    Raises:
        ValueError: If it is not in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"'{path}' is not in UTF-8 ({error.reason}); unpack the archive again."
        ) from error


def _homes(root: Path, folders: tuple[str, ...]) -> list[Path]:
    """Return the root and whatever below it may be the data set's folder."""
    wanted = {_plain(name) for name in (*folders, "original")}
    homes, level = [root], [root]
    for _ in range(DEPTH):
        level = [child for home in level for child in _subfolders(home, wanted)]
        homes += level
    return homes


def _subfolders(folder: Path, wanted: set[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if _plain(p.name) in wanted and p.is_dir())


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character not in " -_")


def _is_there(home: Path, name: str) -> bool:
    return (home / name).is_dir() if name.endswith("/") else (home / name).is_file()
