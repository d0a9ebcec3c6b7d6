"""Limits of the system for a block: as on a full disk, and with too few file descriptors."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice


@contextmanager
def file_size(most: int) -> Iterator[None]:
    """Let no file grow beyond this number of bytes."""
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with _limit(resource.RLIMIT_FSIZE, most):
        yield
    signal.signal(signal.SIGXFSZ, ignored)


@contextmanager
def open_files(more: int) -> Iterator[None]:
    """Let this process open only so many more files."""
    free = (number for number in count() if not _is_open(number))
    with _limit(resource.RLIMIT_NOFILE, next(islice(free, more, None))):
        yield


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@contextmanager
def _limit(kind: int, value: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))
