"""Open the LanceDB database of a store."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gcahng.reasons import first_line, refusal

TABLE = "pictures"
# In LanceDB's errors, which are of one type.
DAMAGE = re.compile(r"LanceError\(IO\)|lance error: Not found: ")


def is_local(uri: str) -> bool:
    """Whether this names a folder rather than an object store or a server."""
    return "://" not in uri


def connect(uri: str) -> Any:
    """Connect to a database, which need not exist.

    Raises:
        ImportError: If LanceDB is not installed.
        ValueError: If LanceDB does not know this kind of address.
    """
    try:
        import lancedb
    except ImportError as error:
        raise ImportError(
            'a store needs LanceDB, which is not installed: pip install "gcahng[search]"'
        ) from error
    try:
        with reading(uri):
            return lancedb.connect(uri)
    except ValueError as error:
        reason = first_line(error).removeprefix("Invalid input, ")
        raise ValueError(f"'{uri}' cannot be a store: {reason}") from error


def open_table(uri: str) -> Any:
    """Open the table of pictures.

    Raises:
        FileNotFoundError: If there is none.
    """
    if is_local(uri) and not Path(uri).is_dir():
        raise FileNotFoundError(f"no store at '{uri}': make one with gcahng index")
    database = connect(uri)
    with reading(uri):
        tables = database.list_tables().tables
    if TABLE not in tables:
        raise FileNotFoundError(f"no store at '{uri}': it holds no pictures of gcahng index")
    try:
        with reading(uri):
            return database.open_table(TABLE)
    except ValueError as error:
        # Its folder is there, but a process that made it was killed before the first version.
        if "was not found" not in str(error):
            raise
        raise FileNotFoundError(f"no store at '{uri}': it was never completed") from error


class UnreadableStoreError(OSError):
    """A store of which files are missing or damaged, or cannot be reached."""


@contextmanager
def reading(uri: str, where: str | None = None) -> Iterator[None]:
    """Say in one sentence why a store cannot be read, or what is wrong with a condition.

    Args:
        uri: The store.
        where: The condition.

    Raises:
        UnreadableStoreError: If files of it are missing or damaged, or cannot be reached.
        ValueError: If the condition is wrong.
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:
        reason = first_line(error)
        if refusal(error) is not None:
            raise
        if DAMAGE.search(reason):
            reason = reason.partition(", /")[0]  # where in its source LanceDB noticed it
            raise UnreadableStoreError(
                f"the store '{uri}' cannot be read ({reason}): check its address; if a file is "
                "missing or damaged, make it anew with gcahng index"
            ) from error
        if where is None:
            raise
        # The rest lists all columns, or where in its source LanceDB noticed it.
        reason = reason.removeprefix("Invalid input, ").partition(". ")[0]
        raise _wrong_condition(where, reason if "/" not in reason else "") from error


def whole_condition(where: str | None) -> str | None:
    """Return a condition so that LanceDB reads all of it, as it ignores what follows an expression.

    Raises:
        ValueError: If it is no text, is empty, or closes a bracket that it did not open.

    >>> whole_condition("label = 'cup'")
    "(label = 'cup')"
    """
    if where is None:
        return None
    if not isinstance(where, str):
        raise _wrong_condition(where, "it is not text")
    depth, quote = 0, ""
    for character in where:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"`":
            quote = character
        else:
            depth += (character == "(") - (character == ")")
        if depth < 0:
            break
    if not where.strip() or depth < 0:
        raise _wrong_condition(where, "it is empty" if depth == 0 else "a bracket too many")
    return f"({where})"


def _wrong_condition(where: object, reason: str) -> ValueError:
    because = f" ({reason})" if reason else ""
    return ValueError(
        f"--where: {where!r} is not a condition on path, label, split, size such as "
        f"\"label = 'cup'\"{because}"
    )


def with_ids(ids: Sequence[str]) -> str:
    """Write the condition that a row has one of these ids in SQL."""
    return f"id IN ({', '.join(map(quoted, ids))})"


def quoted(text: str) -> str:
    """Write a string in SQL.

    Example:
        >>> print(quoted("children's cup"))
        'children''s cup'
    """
    return "'" + text.replace("'", "''") + "'"
