"""CSVFile: images and their classes listed in a CSV file."""

import csv
from collections.abc import Mapping
from pathlib import Path

from gcahng.data.datasets.base import Transform
from gcahng.data.datasets.files import FileDataset, Listing, shorten
from gcahng.errors import did_you_mean
from gcahng.files import printable

REQUIRED = ("path", "label", "split")
ROLES = ("is_query", "is_gallery")
BOOLEANS = {
    **{"true": True, "1": True, "1.0": True, "yes": True},
    **{"false": False, "0": False, "0.0": False, "no": False, "": False},
}
Cells = Mapping[str, str]


class CSVFile(FileDataset):
    r"""Images listed in a CSV file with the columns path, label and split.

    Cells are separated by commas, semicolons or tabs, as in the header. Paths are absolute or
    relative to the CSV file; the split is 'train' or 'test'. An optional column is_query, or its
    opposite is_gallery, makes each test image a query or a gallery image. Without them, or if they
    are the same for all of them, every test image is a query against all others.

    Args:
        root: The folder of the CSV file, the CSV file itself, or the base folder of `file`.
        split: 'train' or 'test'.
        transform: As in `FileDataset`; likewise `unreadable`.
        file: The CSV file, absolute or relative to `root`; None takes the only `*.csv` in `root`.

    Raises:
        FileNotFoundError: If there is no such CSV file.
        ValueError: If one of its lines is invalid, or an argument is unknown.

    Example:
        >>> lines = ["path,label,split", "1.jpg,cat,train", "2.jpg,dog,train", "3.jpg,emu,test"]
        >>> size = Path("pets.csv").write_text("\n".join(lines))
        >>> CSVFile("pets.csv").classes  # images are read on demand
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
        return printable(self.table.stem)

    @property
    def table(self) -> Path:
        """The CSV file."""
        path = self.folder if self.file is None else self.folder / self.file
        if path.is_file():
            return path
        if self.file is not None:
            raise FileNotFoundError(f"There is no table '{path}': correct 'file'.")
        tables = sorted(one for one in path.glob("*.csv") if not one.name.startswith("."))
        if len(tables) == 1:
            return tables[0]
        names = shorten([table.name for table in tables], 5) or "none"
        raise FileNotFoundError(
            f"Expected one *.csv in '{path}' with the columns {', '.join(REQUIRED)} (there is "
            f"{names}): set 'file' to its path."
        )

    def list_images(self) -> Listing:
        """List the rows of the split."""
        table = self.table
        lines = _read(table)
        for place, cells in lines.items():
            _check_cells(place, cells)
        rows = {p: cells for p, cells in lines.items() if cells["split"].lower() == self.split}
        paths: dict[str, str] = {}
        for place, cells in rows.items():
            # Tables written on Windows have backslashes.
            path = str(table.parent / cells["path"].replace("\\", "/"))
            if path in paths:
                raise ValueError(f"{place}: '{path}' is already listed at {paths[path]}.")
            paths[path] = place
        names = [cells["label"] for cells in rows.values()]
        roles = {place: _roles(cells) for place, cells in rows.items()}
        if self.split != "test" or len({*roles.values()}) < 2:
            return Listing([*paths], names)
        for place, (query, gallery) in roles.items():
            if query == gallery:
                raise ValueError(f"{place}: write true in one of is_query and is_gallery.")
        return Listing([*paths], names, [query for query, _ in roles.values()])


def _read(table: Path) -> dict[str, Cells]:
    """Read the cells of every line with text, by the line's place."""
    try:
        # Spreadsheet programs write a byte order mark.
        lines = table.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"'{table}' is not in UTF-8: save it in that encoding.") from error
    reader = csv.reader(lines, delimiter=max(",;\t", key="".join(lines[:1]).count), strict=True)
    rows: dict[str, Cells] = {}
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        if missing := [name for name in REQUIRED if name not in columns]:
            raise ValueError(
                f"{table}:1: there is no column '{missing[0]}'{did_you_mean(missing[0], columns)}; "
                f"the first line must name {', '.join(REQUIRED)}, separated by commas."
            )
        for texts in reader:
            cells, place = [text.strip() for text in texts], f"{table}:{reader.line_num}"
            if any(cells[len(columns) :]):
                raise ValueError(
                    f"{place}: the line has more cells than the header has columns; put cells that "
                    "contain the separator in quotes."
                )
            if any(cells):
                cells += [""] * len(columns)
                rows[place] = dict(zip(columns, cells, strict=False))
    except csv.Error as error:
        raise ValueError(f"{table}:{reader.line_num}: {error}; correct the quotes.") from error
    return rows


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


def _roles(cells: Cells) -> tuple[bool, bool]:
    """Whether a row is a query, and whether it is in the gallery; one alone gives the other."""
    query, gallery = (BOOLEANS[cells[one].lower()] if one in cells else None for one in ROLES)
    return (not gallery if query is None else query, not query if gallery is None else gallery)
