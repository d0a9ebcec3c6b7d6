"""The source code that an object runs, to notice that a user has changed it."""

import inspect
import sys
from contextlib import suppress
from pathlib import Path

from torch import nn

# Where installed packages are.
INSTALLED = ("site-packages", "dist-packages")


def source_of(thing: object) -> bytes:
    """Return the source files of an object's class, and of the user's classes that it is made of.

    Its bases, and the parts of a network, count unless they come with Python, with this project or
    with an installed package. Of a class without a file, such as one that was typed into an
    interpreter, there is no source.
    """
    parts = thing.modules() if isinstance(thing, nn.Module) else [thing]
    classes = {base for part in parts for base in type(part).__mro__}
    files = {_file(type(thing)), *(_file(found) for found in classes if _is_users(found))}
    return b"\0".join(sorted(Path(file).read_bytes() for file in files if file))


def _is_users(found: type) -> bool:
    package = found.__module__.partition(".")[0]
    if package == "gcahng" or package in sys.stdlib_module_names:
        return False
    return not any(folder in Path(_file(found)).parts for folder in INSTALLED)


def _file(found: type) -> str:
    with suppress(OSError, TypeError):
        return inspect.getfile(found)
    return ""
