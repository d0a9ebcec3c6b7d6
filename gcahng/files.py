"""Write files atomically, to a temporary file that is then renamed; text that can be written."""

import csv
import io
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_dir

from gcahng.reasons import refusal


def cache_folder() -> Path:
    """Return the folder of what is computed once: `$GCAHNG_CACHE`, else the system's for programs.

    Example:
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, GCAHNG_CACHE="scratch"):
        ...     cache_folder().name
        'scratch'
    """
    return Path(os.environ.get("GCAHNG_CACHE") or user_cache_dir("gcahng")).expanduser()


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Context manager for writing a file completely or not at all.

    Yields a temporary path, which replaces `path` if the block succeeds and is deleted if it
    raises. The temporary file is in the same folder (created if missing) and has the same suffix,
    because writers such as `numpy.save` choose or append a format by suffix.

    Args:
        path: The file to create or replace.

    Yields:
        The path of an empty temporary file to write to.

    Raises:
        OSError: If the system refuses to write it, such as on a full disk, in one sentence.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"cannot write '{path}': it is a folder; name a file")
    if path.exists() and not path.is_file():
        # A device would be replaced by a file.
        raise OSError(f"cannot write '{path}': it is not a regular file; name another one")
    check_folder(path.parent)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not of `tempfile`, whose files are private.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL, 0o666))
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Say in one sentence that the system refuses to write this file, and what to do.

    Other errors of the block, also of other files, are left as they are.

    Raises:
        OSError: If it refuses.
    """
    path = Path(path)
    try:
        yield
    except Exception as error:
        reason, kind = refusal(error), OSError
        if isinstance(error, OSError) and error.errno is not None:
            if error.filename is not None:
                other = Path(os.fsdecode(error.filename))
                # Of a file beside it, such as the temporary one, or of a folder around it.
                if not (other.parent == path.parent or other in path.parents):
                    raise
            reason, kind = reason or error.strerror, type(error)
        if reason is None:
            raise
        raise kind(f"cannot write '{path}': {reason}") from error


def refuse_address(path: str | Path, what: str = "") -> None:
    """Raise if a path is an address of the web, which `pathlib` takes for a folder `https:`.

    Args:
        path: The path.
        what: The option that names it.

    Raises:
        ValueError: If it is one.
    """
    if found := re.match("(https?|ftp|s3|gs|hf):/+(.*)", str(path)):
        start = f"{what}: " if what else ""
        raise ValueError(
            f"{start}'{found[1]}://{found[2]}' is an address, and a file or a folder is needed here"
        )


def check_folder(path: Path | None, what: str = "") -> None:
    """Raise if a folder cannot be made because a file is in the way, or may not be written to.

    Args:
        path: The folder; None is always right.
        what: The option that names it.

    Raises:
        NotADirectoryError: If it is a file or inside one.
        PermissionError: If it, or the folder that it would be made in, is read-only.
        ValueError: If it is an address of the web.
    """
    if path is None:
        return
    refuse_address(path, what)
    start = f"{what}: " if what else ""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not there.is_dir():
        inside = "" if there == path else f", so '{path}' cannot be made"
        raise NotADirectoryError(f"{start}'{there}' is a file{inside}: name a folder")
    if not os.access(there, os.W_OK):
        raise PermissionError(f"{start}'{there}' is read-only: name another folder")


def check_file(path: Path, option: str, endings: tuple[str, ...]) -> None:
    """Raise if a file to write has another ending, or its folder cannot be written to.

    This keeps a mistyped option from replacing a picture by a page.

    Args:
        path: The file.
        option: The option that names it.
        endings: Such as `.html`.

    Raises:
        OSError: As `check_folder`, or if the path is a folder.
        ValueError: If it has another ending.
    """
    if path.suffix not in endings:
        raise ValueError(
            f"{option}: expected a file ending in {' or '.join(endings)}, got '{path}'"
        )
    if path.is_dir():
        raise IsADirectoryError(f"{option}: '{path}' is a folder; name a file")
    check_folder(path.parent, option)


def write_text(path: str | Path, text: str) -> None:
    """Write text to a file atomically, as UTF-8 without converting line ends.

    Bytes of a file name that are not UTF-8 are written as by `printable`.
    """
    with atomic_write(path) as temporary:
        temporary.write_bytes(printable(text).encode("utf-8"))


def file_name(name: str) -> str:
    """Replace what a shell would split a name at.

    >>> file_name("N-pair, as long as full")
    'N-pair_as_long_as_full'
    """
    return re.sub(r"[\s,]+", "_", name)


def printable(text: str) -> str:
    r"""Replace what UTF-8 cannot encode, such as bytes of a file name in Latin-1, by escapes.

    >>> print(printable("caf\udce9 ä"))
    caf\udce9 ä
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


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
