"""Locks that one process at a time can hold, and that end with it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

# In the folder that it locks; a run that holds nothing else has not begun.
LOCK = ".claim"


@contextmanager
def exclusive_lock(folder: Path, name: Path | None = None) -> Iterator[int]:
    """Lock a folder for as long as this process, or a child that inherits the lock, lives.

    The lock is a file in the folder, which stays there; on a network file system it holds between
    machines as well. A folder that was created for the lock and got no other file is removed, and
    so are the folders around it that were created with it.

    Args:
        folder: Created if missing.
        name: What the user knows it by; default: the folder.

    Yields:
        The file descriptor of the lock, to be passed on to child processes.

    Raises:
        ValueError: If another process holds the lock.
        OSError: On Windows, which has no such lock.
    """
    made = [one for one in folder.parents if not one.exists()]
    with ExitStack() as stack:
        try:
            handle = stack.enter_context(file_lock(folder / LOCK))
        except BlockingIOError:
            raise ValueError(
                f"'{name or folder}' is in use by another process: wait until it has ended, or "
                "stop it"
            ) from None
        try:
            yield handle
        finally:
            _remove_if_unused(folder, made)


@contextmanager
def file_lock(path: Path, *, wait: bool = False) -> Iterator[int]:
    """Lock a file for the duration of the block.

    Args:
        path: Created if missing, with its folder.
        wait: Wait until the lock is free.

    Yields:
        The file descriptor.

    Raises:
        BlockingIOError: If another process holds the lock and `wait` is False.
        OSError: On Windows, which has no such lock.
    """
    try:
        import fcntl
    except ImportError:
        raise OSError(
            f"'{path}' cannot be locked on Windows; use Linux, macOS or WSL2 instead"
        ) from None
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_at(file, path):
                yield file.fileno()
                return


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is still there: its last holder may have removed it with its folder."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _remove_if_unused(folder: Path, made: Sequence[Path]) -> None:
    """Remove a folder that holds only its lock, and those of `made` that are empty then."""
    # Another process may use them by now, or have removed them.
    with suppress(OSError):
        if [file.name for file in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
            for one in (folder, *made):
                one.rmdir()
