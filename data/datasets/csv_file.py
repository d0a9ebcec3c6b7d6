"""CSV: pictures and their classes listed in a table."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from gcahng.data.datasets.base import Transform
from gcahng.data.datasets.files import FileDataset, Listing, shorten

REQUIRED = ("path", "label", "split")
ROLES = ("is_query", "is_gallery")
WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        place: The file and the line, for the messages.
        path: The picture.
        label: Its class.
        split: 'train' or 'test'.
        is_query: Whether it is a query, or None where there is no such column.
        is_gallery: Whether it can be found, or None where there is no such column.
    """

    place: str
    path: str
    label: str
    split: str
    is_query: bool | None
    is_gallery: bool | None


class CSVFile(FileDataset):
    """Pictures listed in a table with the columns path, label and split.

    The split is 'train' or 'test'. A path is relative to the table's folder, or absolute. With the
    columns is_query and is_gallery (or one of them, the other being its opposite) every test row is
    one of the two; without them, or where every test row is both, each image queries all others.

    Args:
        root: The folder of the table, the table itself, or the folder that `file` is relative to.
        split: 'train' or 'test'.
        transform: As in `FileDataset`.
        unreadable: As in `FileDataset`.
        file: The table, relative to `root` or absolute; None is the only `*.csv` in `root`.

    Raises:
        FileNotFoundError: If there is no such table.
        ValueError: If a line of it is wrong, or an argument is unknown.
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
        """The table's name, without its suffix."""
        return self.table.stem

    @property
    def table(self) -> Path:
        """The file that lists the pictures."""
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
                f"There is no *.csv in '{self.folder}': put one there with the columns "
                f"{', '.join(REQUIRED)}, or name it as 'file'."
            )
        if len(tables) > 1:
            names = shorten([table.name for table in tables], 5)
            raise ValueError(f"'{self.folder}' has several tables ({names}): name one as 'file'.")
        return tables[0]

    def list_images(self) -> Listing:
        """List the rows of the split."""
        rows = [row for row in _read(self.table) if row.split == self.split]
        _refuse_duplicates(rows)
        is_query = _queries(rows) if self.split == "test" else None
        return Listing([row.path for row in rows], [row.label for row in rows], is_query)


def _read(table: Path) -> Iterator[Row]:
    # Spreadsheets put a mark before UTF-8, which would become part of the first column's name.
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
                # More cells than columns come as a list under None.
                texts = {name: text.strip() for name, text in cells.items() if name is not None}
                if any(texts.values()):
                    yield _row(table.parent, f"{table}:{last}", texts)
        except UnicodeDecodeError as error:
            raise ValueError(f"'{table}' is not in UTF-8: save it in that encoding.") from error
        except csv.Error as error:
            raise ValueError(
                f"{table}:{last + 1}: the line cannot be read ({error}); mend its quotes."
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


def _row(folder: Path, place: str, texts: dict[str, str]) -> Row:
    for name in REQUIRED:
        if not texts[name]:
            raise ValueError(f"{place}: the {name} is empty; fill it in or remove the line.")
    split = texts["split"].lower()
    if split not in CSVFile.SPLITS:
        raise ValueError(
            f"{place}: unknown split '{texts['split']}': choose one of {', '.join(CSVFile.SPLITS)} "
            "(validation classes are held out of train, see data.validation)."
        )
    query, gallery = (_truth(place, name, texts.get(name)) for name in ROLES)
    # A table made on Windows has backslashes between folders.
    path = folder / texts["path"].replace("\\", "/")
    return Row(place, str(path), texts["label"], split, query, gallery)


def _truth(place: str, name: str, text: str | None) -> bool | None:
    if text is not None and text.lower() not in WORDS:
        raise ValueError(f"{place}: {name} is '{text}': write true or false.")
    return None if text is None else WORDS[text.lower()]


def _refuse_duplicates(rows: list[Row]) -> None:
    first: dict[str, str] = {}
    for row in rows:
        if row.path in first:
            raise ValueError(
                f"{row.place}: '{row.path}' is listed before, at {first[row.path]}; remove one."
            )
        first[row.path] = row.place


def _queries(rows: list[Row]) -> list[bool] | None:
    """Return which rows are queries, or None where each queries all others."""
    roles = [_both_roles(row) for row in rows]
    if all(role in ((None, None), (True, True)) for role in roles):
        return None
    for row, (query, gallery) in zip(rows, roles, strict=True):
        if query == gallery:
            raise ValueError(
                f"{row.place}: the row is {'both query and' if query else 'neither query nor'} "
                "gallery while others are one of the two; make every test row one of the two, or "
                "every one both."
            )
    queries = [bool(query) for query, _ in roles]
    if all(queries) or not any(queries):
        raise ValueError(
            f"{rows[0].place}: this and every other test row is "
            f"{'a query' if queries[0] else 'in the gallery'}, but retrieval needs both; correct "
            "is_query or is_gallery."
        )
    return queries


def _both_roles(row: Row) -> tuple[bool | None, bool | None]:
    """Fill in the role whose column is not there."""
    if row.is_query is None and row.is_gallery is not None:
        return not row.is_gallery, row.is_gallery
    if row.is_gallery is None and row.is_query is not None:
        return row.is_query, not row.is_query
    return row.is_query, row.is_gallery
