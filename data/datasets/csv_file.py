"""CSVFile: images and their classes listed in a CSV file."""

from pathlib import Path

from gcahng.data.datasets.base import Transform
from gcahng.data.datasets.csv_table import EDGES, REQUIRED, ROLES, Row, read_table
from gcahng.data.datasets.files import FileDataset
from gcahng.data.datasets.listing import Box, Listing, shorten
from gcahng.files import printable

SHOWN = 10


class CSVFile(FileDataset):
    r"""Images listed in a CSV file with the columns path, label and split.

    Paths are absolute or relative to the CSV file; the split is 'train' or 'test'. Two optional
    columns, is_query and is_gallery, make each test image a query or a gallery image; if only one
    is given, the other is its opposite. Without them, or if all test images are both, every test
    image is a query against all others.

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
        table = read_table(self.table, self.crop)
        rows = [row for row in table.rows if row.split == self.split]
        _check_duplicates(rows, boxes_unused=not self.crop and set(EDGES) <= set(table.columns))
        return Listing(
            [row.path for row in rows],
            [row.label for row in rows],
            _query_mask(rows) if self.split == "test" else None,
            notes=tuple(self._unused_columns(table.columns)),
            boxes=[row.box for row in rows] if self.crop else None,
            sources=[row.source for row in rows],
        )

    def _unused_columns(self, columns: list[str]) -> list[str]:
        used = {"", *REQUIRED, *ROLES, *(EDGES if self.crop else ())}
        unused = [name for name in columns if name not in used]
        if not unused:
            return []
        note = f"Columns of '{self.table}' that are not used: {shorten(unused, SHOWN)}."
        if set(EDGES) <= set(unused):
            note += (
                " To cut each image to its box (x_1, y_1, x_2, y_2), set crop=true (in an "
                "experiment: data.args.crop=true)."
            )
        return [note]


def _check_duplicates(rows: list[Row], boxes_unused: bool) -> None:
    first: dict[tuple[str, Box | None], str] = {}
    advice = "remove one, or set crop=true to use their boxes" if boxes_unused else "remove one"
    for row in rows:
        if (key := (row.path, row.box)) in first:
            raise ValueError(
                f"{row.source}: '{row.path}' is already listed at {first[key]}; {advice}."
            )
        first[key] = row.source


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
