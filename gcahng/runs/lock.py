"""A folder that one process at a time may work on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[int]:
    """Lock a folder for as long as this process, or a child that inherits the lock, lives.

    Args:
        folder: Created if missing; the lock is its file `.claim`.

    Yields:
        The file descriptor of the lock, to be passed on to child processes.

    Raises:
        ValueError: If another process holds the lock.
        OSError: On Windows, which has no such lock.
    """
    try:
        import fcntl
    except ImportError:
        raise OSError(
            f"'{folder}' cannot be locked on Windows; use Linux, macOS or WSL2 instead"
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".claim").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"'{folder}' is in use by another process: wait until it has ended, or stop it"
            ) from None
        yield file.fileno()
