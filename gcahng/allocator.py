"""Memory of a program: the allocator keeps it, and imports are not searched for garbage."""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# The most that glibc accepts: larger pieces come from the system and go back to it at once.
LARGEST_KEPT = 32 * 2**20
NEVER = 2**31 - 1


def keep_memory() -> None:
    """Set glibc's allocator to keep pieces of up to 32 MiB; elsewhere, do nothing.

    By default, training on a CPU returns and fetches the same pages over and over: about a third
    of the time in the system goes, for a few percent of memory. Who has set the allocator in the
    environment keeps that.
    """
    chosen = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if chosen or not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        library.mallopt(M_TRIM_THRESHOLD, NEVER)


@contextmanager
def lasting_imports() -> Iterator[None]:
    """Import within the block what stays to the end: it is not looked through for garbage.

    PyTorch and what is around it are half a million objects, a quarter of the time of a start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        # Once: what a program makes later may become garbage.
        if not gc.get_freeze_count():
            gc.freeze()
