"""Limits of the system for a block: as on a full disk, and without free file descriptors."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def file_size(most: int) -> Iterator[None]:
    """Let no file grow beyond this number of bytes."""
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with _limit(resource.RLIMIT_FSIZE, most):
        yield
    signal.signal(signal.SIGXFSZ, ignored)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no file, also if it closes others meanwhile."""
    with _limit(resource.RLIMIT_NOFILE, 0):
        yield


@contextmanager
def _limit(kind: int, value: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))
