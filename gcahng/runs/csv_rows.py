"""Rows of figures as CSV text."""

import csv
import io
from collections.abc import Mapping, Sequence


def csv_text(rows: Sequence[Mapping[str, object]], columns: Sequence[str] | None = None) -> str:
    r"""Write rows as CSV with a header; a value that a row lacks stays empty.

    Args:
        rows: One mapping per row.
        columns: The header; by default all keys in the order in which they first appear.

    Raises:
        ValueError: If a row has a key that is not in `columns`.

    >>> csv_text([{"epoch": 1}, {"epoch": 2, "recall@1": 0.5}])
    'epoch,recall@1\n1,\n2,0.5\n'
    """
    columns = columns or list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
