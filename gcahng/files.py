"""Write files atomically, to a temporary file that is then renamed; text that can be written."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp creates private files; use the default mode of new files instead.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write text to a file atomically, as UTF-8 without converting line ends.

    Bytes of a file name that are not UTF-8 are written as by `printable`.
    """
    with atomic_write(path) as temporary:
        temporary.write_bytes(printable(text).encode("utf-8"))


def printable(text: str) -> str:
    r"""Replace what UTF-8 cannot encode, such as bytes of a file name in Latin-1, by escapes.

    >>> print(printable("caf\udce9 ä"))
    caf\udce9 ä
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
