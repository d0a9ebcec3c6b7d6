"""CSVFile: images and their classes listed in a CSV file."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from gcahng.data.datasets.base import Transform
from gcahng.data.datasets.files import FileDataset, Listing, shorten

REQUIRED = ("path", "label", "split")
ROLES = ("is_query", "is_gallery")
BOOLEANS = {
    **{"true": True, "1": True, "yes": True},
    **{"false": False, "0": False, "no": False, "": False},
}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        source: File and line number, for error messages.
        path: The image file.
        label: The class name.
        split: 'train' or 'test'.
        is_query: Whether the image is a query; None if the column is missing.
        is_gallery: Whether the image is in the gallery; None if the column is missing.
    """

    source: str
    path: str
    label: str
    split: str
    is_query: bool | None
    is_gallery: bool | None


class CSVFile(FileDataset):
    r"""Images listed in a CSV file with the columns path, label and split.

    Paths are absolute or relative to the CSV file; the split is 'train' or 'test'. Two optional
    columns, is_query and is_gallery, make each test image a query or a gallery image; if only one
    is given, the other is its opposite. Without them, or if all test images are both, every test
    image is a query against all others.

    Args:
        root: The folder of the CSV file, the CSV file itself, or the base folder of `file`.
        split: 'train' or 'test'.
        transform: As in `FileDataset`.
        unreadable: As in `FileDataset`.
        file: The CSV file, absolute or relative to `root`; None takes the only `*.csv` in `root`.

    Raises:
        FileNotFoundError: If there is no such CSV file.
        ValueError: If one of its lines is invalid, or an argument is unknown.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lines = ["path,label,split", "1.jpg,cat,train", "2.jpg,dog,train", "3.jpg,emu,test"]
        ...     size = Path(folder, "pets.csv").write_text("\n".join(lines))
        ...     CSVFile(folder).classes  # images are read on demand
        ['cat', 'dog']
    """

    def __init__(
        self,
        root: str | Path | None,
        split: str = "train",
        transform: Transform | None = None,
        unreadable: str = "stop",
        file: str | None = None,
    ) -> None:
        self.file = file
        super().__init__(root, split, transform, unreadable)

    @property
    def name(self) -> str:
        """The CSV file's name without suffix."""
        return self.table.stem

    @property
    def table(self) -> Path:
        """The CSV file."""
        if self.file is not None:
            path = self.folder / self.file
            if not path.is_file():
                raise FileNotFoundError(f"There is no table '{path}': correct 'file'.")
            return path
        if self.folder.is_file():
            return self.folder
        tables = sorted(self.folder.glob("*.csv"))
        if not tables:
            raise FileNotFoundError(
                f"There is no *.csv in '{self.folder}': add one with the columns "
                f"{', '.join(REQUIRED)}, or set 'file' to its path."
            )
        if len(tables) > 1:
            names = shorten([table.name for table in tables], 5)
            raise ValueError(
                f"'{self.folder}' has several tables ({names}): set 'file' to one of them."
            )
        return tables[0]

    def list_images(self) -> Listing:
        """List the rows of the split."""
        rows = [row for row in _read(self.table) if row.split == self.split]
        _check_duplicates(rows)
        is_query = _query_mask(rows) if self.split == "test" else None
        return Listing([row.path for row in rows], [row.label for row in rows], is_query)


def _read(table: Path) -> Iterator[Row]:
    # "utf-8-sig" strips the byte order mark that spreadsheet programs write.
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restval="", strict=True)
        last = 0
        try:
            columns = [name.strip().lower() for name in reader.fieldnames or ()]
            _check_columns(table, columns)
            reader.fieldnames = columns
            last = reader.line_num
            for cells in reader:
                last = reader.line_num
                # DictReader collects surplus cells in a list under the key None.
                texts = {name: text.strip() for name, text in cells.items() if name is not None}
                if any(texts.values()):
                    yield _row(table.parent, f"{table}:{last}", texts)
        except UnicodeDecodeError as error:
            raise ValueError(f"'{table}' is not in UTF-8: save it in that encoding.") from error
        except csv.Error as error:
            raise ValueError(
                f"{table}:{last + 1}: the line cannot be parsed ({error}); correct its quotes."
            ) from error


def _check_columns(table: Path, columns: list[str]) -> None:
    for name in REQUIRED:
        if name not in columns:
            near = get_close_matches(name, columns, 1)
            raise ValueError(
                f"{table}:1: there is no column '{name}' among {', '.join(columns) or 'none'}"
                f"{f' (did you mean {near[0]}?)' if near else ''}; the first line must name "
                f"{', '.join(REQUIRED)}, separated by commas."
            )


def _row(folder: Path, source: str, texts: dict[str, str]) -> Row:
    for name in REQUIRED:
        if not texts[name]:
            raise ValueError(f"{source}: the {name} is empty; fill it in or remove the line.")
    split = texts["split"].lower()
    if split not in CSVFile.SPLITS:
        raise ValueError(
            f"{source}: unknown split '{texts['split']}': choose one of "
            f"{', '.join(CSVFile.SPLITS)} (validation classes are taken from train, see "
            "data.validation)."
        )
    query, gallery = (_parse_bool(source, name, texts.get(name)) for name in ROLES)
    # CSV files written on Windows use backslashes in paths.
    path = folder / texts["path"].replace("\\", "/")
    return Row(source, str(path), texts["label"], split, query, gallery)


def _parse_bool(source: str, name: str, text: str | None) -> bool | None:
    if text is not None and text.lower() not in BOOLEANS:
        raise ValueError(f"{source}: {name} is '{text}': write true or false.")
    return None if text is None else BOOLEANS[text.lower()]


def _check_duplicates(rows: list[Row]) -> None:
    first: dict[str, str] = {}
    for row in rows:
        if row.path in first:
            raise ValueError(
                f"{row.source}: '{row.path}' is already listed at {first[row.path]}; remove one."
            )
        first[row.path] = row.source


def _query_mask(rows: list[Row]) -> list[bool] | None:
    """Return which rows are queries, or None if every row is a query against all others."""
    roles = [_both_roles(row) for row in rows]
    if all(role in ((None, None), (True, True)) for role in roles):
        return None
    for row, (query, gallery) in zip(rows, roles, strict=True):
        if query == gallery:
            raise ValueError(
                f"{row.source}: the row is {'both query and' if query else 'neither query nor'} "
                "gallery, unlike other test rows; make every test row exactly one of the two, or "
                "all test rows both."
            )
    queries = [bool(query) for query, _ in roles]
    if all(queries) or not any(queries):
        raise ValueError(
            f"{rows[0].source}: all test rows are "
            f"{'queries' if queries[0] else 'in the gallery'}, but retrieval needs both; correct "
            "is_query or is_gallery."
        )
    return queries


def _both_roles(row: Row) -> tuple[bool | None, bool | None]:
    """Derive a missing role from the other one."""
    if row.is_query is None and row.is_gallery is not None:
        return not row.is_gallery, row.is_gallery
    if row.is_gallery is None and row.is_query is not None:
        return row.is_query, not row.is_query
    return row.is_query, row.is_gallery
