"""Read a CSV table of images, line by line, with the line number in every error."""

import csv
import math
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from pathlib import Path

from gcahng.data.datasets.listing import Box

SPLITS = ("train", "test")
REQUIRED = ("path", "label", "split")
ROLES = ("is_query", "is_gallery")
EDGES = ("x_1", "y_1", "x_2", "y_2")
BOOLEANS = {
    **{"true": True, "1": True, "1.0": True, "yes": True},
    **{"false": False, "0": False, "0.0": False, "no": False, "": False},
}
# The first line that spreadsheet programs write to name the separator.
SEPARATOR = re.compile(r'"?sep=(.)"?\s*')


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
        box: The part of the file that is the image; None for all of it.
    """

    source: str
    path: str
    label: str
    split: str
    is_query: bool | None
    is_gallery: bool | None
    box: Box | None


@dataclass(frozen=True)
class Table:
    """The rows of a CSV file, and its columns in lower case."""

    columns: list[str]
    rows: list[Row]


def read_table(table: Path, crop: bool) -> Table:
    """Read a CSV file of images.

    Args:
        table: The file.
        crop: Whether to read the columns of `EDGES`.

    Raises:
        ValueError: If a line is invalid.
    """
    # "utf-8-sig" strips the byte order mark that spreadsheet programs write.
    with table.open(encoding="utf-8-sig", newline="") as file:
        try:
            first = file.readline()
            separator = SEPARATOR.fullmatch(first)
            lines = chain([] if separator else [first], file)
            delimiter = separator[1] if separator else ","
            reader = csv.DictReader(lines, restval="", strict=True, delimiter=delimiter)
            return _read(table, reader, crop, skipped=1 if separator else 0)
        except UnicodeDecodeError as error:
            raise ValueError(f"'{table}' is not in UTF-8: save it in that encoding.") from error


def _read(table: Path, reader: "csv.DictReader[str]", crop: bool, skipped: int) -> Table:
    rows, last = [], skipped
    try:
        columns = [name.strip().lower() for name in reader.fieldnames or ()]
        _check_columns(f"{table}:{skipped + 1}", columns, crop)
        reader.fieldnames = columns
        last = skipped + reader.line_num
        for cells in reader:
            last = skipped + reader.line_num
            # DictReader collects surplus cells in a list under the key None.
            surplus = [text for text in cells.pop(None, ()) if text.strip()]
            texts = {name: text.strip() for name, text in cells.items()}
            if any(texts.values()) or surplus:
                _check_surplus(f"{table}:{last}", len(columns), surplus)
                rows.append(_row(table.parent, f"{table}:{last}", texts, crop))
    except csv.Error as error:
        raise ValueError(
            f"{table}:{last + 1}: the line cannot be parsed ({error}); correct its quotes."
        ) from error
    return Table(columns, rows)


def _check_columns(source: str, columns: list[str], crop: bool) -> None:
    for name in REQUIRED:
        if name not in columns:
            near = get_close_matches(name, columns, 1)
            raise ValueError(
                f"{source}: there is no column '{name}' among {', '.join(columns) or 'none'}"
                f"{f' (did you mean {near[0]}?)' if near else ''}; the first line must name "
                f"{', '.join(REQUIRED)}, separated by commas."
            )
    for name in EDGES if crop else ():
        if name not in columns:
            raise ValueError(
                f"{source}: there is no column '{name}', and crop=true needs {', '.join(EDGES)}."
            )
    for name in (*REQUIRED, *ROLES, *EDGES):
        if columns.count(name) > 1:
            raise ValueError(f"{source}: two columns are called '{name}'; rename or remove one.")


def _check_surplus(source: str, columns: int, surplus: Sequence[str]) -> None:
    if surplus:
        raise ValueError(
            f"{source}: the line has cells beyond the {columns} columns of the header "
            f"('{surplus[0].strip()}'); put cells that contain the separator in quotes."
        )


def _row(folder: Path, source: str, texts: dict[str, str], crop: bool) -> Row:
    for name in REQUIRED:
        if not texts[name]:
            raise ValueError(f"{source}: the {name} is empty; fill it in or remove the line.")
        if "\0" in texts[name]:
            raise ValueError(f"{source}: the {name} contains a NUL character; remove it.")
    split = texts["split"].lower()
    if split not in SPLITS:
        raise ValueError(
            f"{source}: unknown split '{texts['split']}': choose one of "
            f"{', '.join(SPLITS)} (validation classes are taken from train, see "
            "data.validation)."
        )
    query, gallery = (_parse_bool(source, name, texts.get(name)) for name in ROLES)
    # CSV files written on Windows use backslashes in paths.
    path = _find(folder / texts["path"].replace("\\", "/"))
    box = _parse_box(source, [texts[name] for name in EDGES]) if crop else None
    return Row(source, path, texts["label"], split, query, gallery, box)


def _find(path: Path) -> str:
    """Return the path as its file is called, where an accent may be a character of its own (NFD).

    macOS writes names in NFD, and most programs write tables in NFC.
    """
    if str(path).isascii() or os.path.lexists(path):
        return str(path)
    found = Path()
    for part in path.parts:
        forms = (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        found /= next((form for form in forms if os.path.lexists(found / form)), part)
    return str(found)


def _parse_bool(source: str, name: str, text: str | None) -> bool | None:
    if text is not None and text.lower() not in BOOLEANS:
        raise ValueError(f"{source}: {name} is '{text}': write true or false.")
    return None if text is None else BOOLEANS[text.lower()]


def _parse_box(source: str, texts: Sequence[str]) -> Box | None:
    """Return left, top, right and bottom in whole pixels; None if all cells are empty."""
    if not any(texts):
        return None
    try:
        edges = [float(text) for text in texts]
    except ValueError:
        edges = []
    if edges and all(map(math.isfinite, edges)):
        left, top, right, bottom = map(round, edges)
        if 0 <= left < right and 0 <= top < bottom:
            return left, top, right, bottom
    raise ValueError(
        f"{source}: {', '.join(EDGES)} are '{', '.join(texts)}': expected four numbers of pixels "
        "with 0 ≤ x_1 < x_2 and 0 ≤ y_1 < y_2, or four empty cells for the whole image."
    )
