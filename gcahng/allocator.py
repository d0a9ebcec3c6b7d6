"""Keep memory that a program has given back, instead of asking the system for it again."""

import ctypes
import os
import sys

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
