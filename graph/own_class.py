"""A class from outside the repository, named as `module.path:ClassName`."""

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from gcahng.graph.convs.parts import did_you_mean


def import_class(path: str, kind: str, base: type[Any]) -> type[Any]:
    """Find the class behind `module.path:ClassName`, in the current folder or installed.

    Args:
        path: Its name.
        kind: What it is to be, in words, for error sentences.
        base: What it has to inherit from.

    Raises:
        ValueError: If there is no such module or class, or it does not inherit from `base`. An
            error within the module is raised as it is.
    """
    module_path, _, name = path.partition(":")
    if not all(part.isidentifier() for part in (*module_path.split("."), name)):
        raise ValueError(f"Expected a {kind} of your own as 'module.path:ClassName' (got {path!r})")
    module = _import_module(module_path, f"{kind} {path!r}")
    found = getattr(module, name, None)
    if found is None:
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise ValueError(
            f"{kind} {path!r}: {module} has no class {name!r}{did_you_mean(name, classes)}"
        )
    if not (isinstance(found, type) and issubclass(found, base)):
        got = "class" if isinstance(found, type) else type(found).__name__
        raise ValueError(f"Expected {kind} {path!r} to be a {_named(base)} class (got a {got})")
    return found


def _named(base: type) -> str:
    """The name of a class where its users import it from."""
    package = base.__module__
    return f"{'torch.nn' if package.startswith('torch.nn') else package}.{base.__name__}"


def _import_module(module_path: str, what: str) -> ModuleType:
    # The user's folder comes first while their module is imported, as it does for `python -m`, and
    # last afterwards, for what the module imports later.
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(module_path)
    except ModuleNotFoundError as error:
        # Another name is of a module that the user's own imports.
        if error.name is None or not f"{module_path}.".startswith(f"{error.name}."):
            raise
        raise ValueError(
            f"{what}: there is no module {module_path!r} in {folder} or on the import path"
        ) from error
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)
