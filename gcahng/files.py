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
    """Return the folder of what is computed once: `$GCAHNG_CACHE`, else the system's for caches."""
    return Path(os.environ.get("GCAHNG_CACHE") or user_cache_dir("gcahng")).expanduser()


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Context manager for writing a file completely or not at all.

    Yields the path of an empty temporary file, which replaces `path` if the block succeeds and is
    deleted if it raises. It is in the same folder (created if missing) and has the same suffix,
    because writers such as `numpy.save` choose or append a format by suffix.

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
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Not of `tempfile`, whose files are private.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL, 0o666))
        yield temporary
        os.replace(temporary, path)
    except Exception as error:
        if (reason := refusal(error)) is None:
            raise
        raise OSError(f"cannot write '{path}': {reason}") from error
    finally:
        temporary.unlink(missing_ok=True)


def refuse_address(path: str | Path, what: str = "") -> None:
    """Raise a ValueError if a path is an address, which `pathlib` takes for a folder `https:`.

    `what` is the option that names it.
    """
    if found := re.match("(https?|ftp|s3|gs|hf):/+(.*)", str(path)):
        start = f"{what}: " if what else ""
        raise ValueError(
            f"{start}'{found[1]}://{found[2]}' is an address, and a file or a folder is needed here"
        )


def check_folder(path: Path | None, what: str = "") -> None:
    """Raise an OSError if a folder cannot be made because a file is in the way, or is read-only.

    `what` is the option that names it; no folder is always right.
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
    """
    if path.suffix not in endings:
        raise ValueError(
            f"{option}: expected a file ending in {' or '.join(endings)}, got '{path}'"
        )
    if path.is_dir():
        raise IsADirectoryError(f"{option}: '{path}' is a folder; name a file")
    check_folder(path.parent, option)


def write_text(path: str | Path, text: str) -> None:
    """Write text to a file atomically, as UTF-8 of `printable` characters."""
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

    The columns are by default all keys in the order in which they first appear.

    >>> csv_text([{"epoch": 1}, {"epoch": 2, "recall@1": 0.5}])
    'epoch,recall@1\n1,\n2,0.5\n'
    """
    columns = columns or list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
