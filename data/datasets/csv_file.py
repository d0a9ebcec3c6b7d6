"""CSVFile: images and their classes listed in a CSV file."""

import csv
import io
import os
import unicodedata
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from gcahng.data.datasets.base import Transform
from gcahng.data.datasets.files import Box, FileDataset, Listing, shorten
from gcahng.files import printable

REQUIRED = ("path", "label", "split")
ROLES = ("is_query", "is_gallery")
EDGES = ("x_1", "y_1", "x_2", "y_2")
BOOLEANS = {
    **{"true": True, "1": True, "1.0": True, "yes": True},
    **{"false": False, "0": False, "0.0": False, "no": False, "": False},
}
Cells = Mapping[str, str]


class CSVFile(FileDataset):
    r"""Images listed in a CSV file with the columns path, label and split.

    Cells are separated by commas, semicolons or tabs, as in the header. Paths are absolute or
    relative to the CSV file; the split is 'train' or 'test'. Two optional columns, is_query and
    is_gallery, make each test image a query or a gallery image; if only one is given, the other is
    its opposite. Without them, or if all test images are both, every test image is a query against
    all others.

    Four more columns, x_1, y_1, x_2 and y_2, may give the box of each image in pixels of the
    upright file: left, top, right and bottom, the last two exclusive. They are used with
    `crop=True`; four empty cells stand for the whole file.

    Args:
        root: The folder of the CSV file, the CSV file itself, or the base folder of `file`.
        split: 'train' or 'test'.
        transform: As in `FileDataset`.
        unreadable: As in `FileDataset`.
        file: The CSV file, absolute or relative to `root`; None takes the only `*.csv` in `root`.
        crop: Whether to cut each image to its box.

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
        crop: bool = False,
    ) -> None:
        self.file, self.crop = file, crop
        super().__init__(root, split, transform, unreadable)

    @property
    def name(self) -> str:
        """The CSV file's name without suffix."""
        return printable(self.table.stem)

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
        # Not `glob`, which finds nothing in a folder that cannot be read.
        files = self.folder.iterdir() if self.folder.is_dir() else ()
        tables = sorted(p for p in files if p.suffix == ".csv" and not p.name.startswith("."))
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
        columns, lines = _read(self.table, (*REQUIRED, *(EDGES if self.crop else ())))
        for place, cells in lines.items():
            _check_cells(place, cells)
        rows = {p: cells for p, cells in lines.items() if cells["split"].lower() == self.split}
        # Tables written on Windows have backslashes.
        files = [self.table.parent / cells["path"].replace("\\", "/") for cells in rows.values()]
        paths = [_find(file) for file in files]
        boxes = [_parse_box(*row) if self.crop else None for row in rows.items()]
        first: dict[tuple[str, Box | None], str] = {}
        for place, path, box in zip(rows, paths, boxes, strict=True):
            if first.setdefault((path, box), place) != place:
                other = first[path, box]
                raise ValueError(f"{place}: '{path}' is already listed at {other}; remove one.")
        names = [cells["label"] for cells in rows.values()]
        is_query = _query_mask(rows) if self.split == "test" else None
        used = ("", *REQUIRED, *ROLES, *(EDGES if self.crop else ()))
        unused = shorten([name for name in columns if name not in used], 10)
        notes = (f"Columns of '{self.table}' that are not used: {unused}.",) if unused else ()
        return Listing(paths, names, is_query, notes=notes, boxes=boxes, sources=[*rows])


def _read(table: Path, required: Sequence[str]) -> tuple[list[str], dict[str, Cells]]:
    """Read the columns, and the cells of every line with text by its place."""
    try:
        # Spreadsheet programs write a byte order mark, and some a first line `sep=;`.
        lines = list(io.StringIO(table.read_text(encoding="utf-8-sig")))
    except UnicodeDecodeError as error:
        raise ValueError(f"'{table}' is not in UTF-8: save it in that encoding.") from error
    skipped = int(bool(lines) and lines[0].startswith(("sep=", '"sep=')))
    header = "".join(lines[skipped : skipped + 1])
    reader = csv.reader(lines[skipped:], delimiter=max(",;\t", key=header.count), strict=True)
    columns: list[str] = []
    rows: dict[str, Cells] = {}
    last = skipped
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        _check_columns(f"{table}:{skipped + 1}", columns, required)
        last = skipped + reader.line_num
        for texts in reader:
            last = skipped + reader.line_num
            cells = [text.strip() for text in texts]
            if any(cells[len(columns) :]):
                raise ValueError(
                    f"{table}:{last}: the line has more cells than the header has columns; put "
                    "cells that contain the separator in quotes."
                )
            if any(cells):
                cells += [""] * len(columns)
                rows[f"{table}:{last}"] = dict(zip(columns, cells, strict=False))
    except csv.Error as error:
        raise ValueError(f"{table}:{last + 1}: {error}; correct the quotes.") from error
    return columns, rows


def _check_columns(place: str, columns: list[str], required: Sequence[str]) -> None:
    for name in required:
        if name not in columns:
            near = get_close_matches(name, columns, 1)
            raise ValueError(
                f"{place}: there is no column '{name}' among {', '.join(columns) or 'none'}"
                f"{f' (did you mean {near[0]}?)' if near else ''}; the first line must name "
                f"{', '.join(required)}, separated by commas."
            )
    for name in (*REQUIRED, *ROLES, *EDGES):
        if columns.count(name) > 1:
            raise ValueError(f"{place}: two columns are called '{name}'; rename or remove one.")


def _check_cells(place: str, cells: Cells) -> None:
    for name in REQUIRED:
        if not cells[name]:
            raise ValueError(f"{place}: the {name} is empty; fill it in or remove the line.")
    if cells["split"].lower() not in CSVFile.SPLITS:
        raise ValueError(
            f"{place}: unknown split '{cells['split']}': choose one of {', '.join(CSVFile.SPLITS)} "
            "(validation classes are taken from train, see data.validation)."
        )
    for name in ROLES:
        if cells.get(name, "").lower() not in BOOLEANS:
            raise ValueError(f"{place}: {name} is '{cells[name]}': write true or false.")


def _find(path: Path) -> str:
    """Return a path as its file is called: macOS writes accents as characters of their own."""
    forms = (unicodedata.normalize(form, str(path)) for form in ("NFC", "NFD"))
    there = (form for form in forms if not str(path).isascii() and os.path.lexists(form))
    return str(path) if os.path.lexists(path) else next(there, str(path))


def _query_mask(rows: Mapping[str, Cells]) -> list[bool] | None:
    """Return which rows are queries, or None if every row is a query against all others."""
    roles: dict[str, tuple[bool, bool]] = {}
    for place, cells in rows.items():
        given = (BOOLEANS[cells[name].lower()] if name in cells else None for name in ROLES)
        query, gallery = given
        # One role alone gives the other.
        roles[place] = (
            not gallery if query is None else query,
            not query if gallery is None else gallery,
        )
    if all(role == (True, True) for role in roles.values()):
        return None
    for place, (query, gallery) in roles.items():
        if query == gallery:
            raise ValueError(
                f"{place}: the row is {'both query and' if query else 'neither query nor'} "
                "gallery, unlike other test rows; make every test row exactly one of the two."
            )
    return [query for query, _ in roles.values()]


def _parse_box(place: str, cells: Cells) -> Box | None:
    """Return left, top, right and bottom in whole pixels; None if all cells are empty."""
    texts = [cells[name] for name in EDGES]
    if not any(texts):
        return None
    try:
        left, top, right, bottom = (round(float(text)) for text in texts)
    except (ValueError, OverflowError):
        left = right = top = bottom = 0
    if 0 <= left < right and 0 <= top < bottom:
        return left, top, right, bottom
    raise ValueError(
        f"{place}: {', '.join(EDGES)} are '{', '.join(texts)}': expected four numbers of pixels "
        "with 0 ≤ x_1 < x_2 and 0 ≤ y_1 < y_2, or four empty cells for the whole image."
    )
