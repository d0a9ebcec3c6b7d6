"""Find components (layers, losses, generators, backbones, data sets) by name.

Names are known before anything is imported: a component's module is imported when it is used, since
torch, torchvision and PyTorch Geometric take seconds.
"""

import ast
import importlib
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from gcahng.arguments import arguments_of, check_names, checked_arguments
from gcahng.errors import did_you_mean

T = TypeVar("T")


@dataclass(frozen=True)
class Library(Generic[T]):
    """An external library that provides further components by name."""

    find: Callable[[str], T | None]
    # For suggestions in error messages.
    names: Callable[[], Iterable[str]]
    # Completes "choose from: …, or …" in error messages.
    described: str


class Registry(Mapping[str, T]):
    """A mapping from names to the components of one kind, with methods to find and build them.

    Args:
        kind: The kind of component in error messages, such as "layer" or "data set".
        entries: The components by name, each as "module:Name", or as that and a first argument.
        user_base: Base class, as "module:Name", of components of users, which are named
            `module.path:ClassName`; None disables them.
        library: An external library to search for other names; None disables it.
        filled: Names of arguments that a component gets from its caller, not from the settings.
    """

    def __init__(
        self,
        kind: str,
        entries: Mapping[str, str | tuple[str, str]],
        *,
        user_base: str | None = None,
        library: Library[T] | None = None,
        filled: Collection[str] = (),
    ) -> None:
        self.kind = kind
        self.entries: dict[str, Any] = dict(entries)
        self.user_base, self.library, self.filled = user_base, library, filled

    def __getitem__(self, name: str) -> T:
        entry = self.entries[name]
        if isinstance(entry, tuple):
            entry = partial(_imported(entry[0]), *entry[1:])
        found: T = _imported(entry) if isinstance(entry, str) else entry
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, name: str) -> T:
        """Return the component called `name`; a ValueError lists the names that there are."""
        if self._names_class(name):
            made: Any = import_class(name, self.kind, _imported(str(self.user_base)))
            takes, takes_others = arguments_of(made)
            if not takes_others:
                check_names(f"{self.kind} {name!r}", self.filled, takes)
            return made
        self.check_name(name)
        if name in self.entries:
            return self[name]
        if self.library is not None and (found := self.library.find(name)) is not None:
            return found
        raise ValueError(self._unknown(name, [] if self.library is None else self.library.names()))

    def check_name(self, name: str) -> None:
        """Raise for a wrong name as `find` does, as far as it shows without an import."""
        if not isinstance(name, str):
            raise ValueError(f"Expected the name of a {self.kind} as text (got {name!r})")
        if self._names_class(name):
            _check_class_is_there(name, self.kind)
        elif name not in self.entries and self.library is None:
            raise ValueError(self._unknown(name, []))

    def _names_class(self, name: object) -> bool:
        return self.user_base is not None and isinstance(name, str) and names_class(name)

    def _unknown(self, name: str, similar: Iterable[str]) -> str:
        return _unknown(self.kind, name, self.entries, list(similar), self.others)

    @property
    def others(self) -> list[str]:
        """What else can be named than the entries, in words."""
        found = [] if self.library is None else [self.library.described]
        own = "a class of your own as module.path:ClassName"
        return found if self.user_base is None else [*found, own]

    def build(self, name: str, /, *args: Any, **settings: Any) -> Any:
        """Find a component and call it with the given arguments, which are checked."""
        return self.find(name)(*args, **self.check(name, settings, len(args)))  # type: ignore[operator]

    def check(
        self, name: str, given: Mapping[str, Any], positional: int = 0, place: str = ""
    ) -> dict[str, Any]:
        """Check the arguments of a component, see `gcahng.arguments.checked_arguments`."""
        what, make = f"{self.kind} {name!r}", self.find(name)
        return checked_arguments(what, make, given, positional, place, self.filled)  # type: ignore[arg-type]


def _imported(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def imported_on_use(package: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package, which imports a name when it is asked for.

    The names are those that the package imports if `TYPE_CHECKING`, where type checkers see them
    too, and `__all__` unless it has its own. None may be that of a module in the package.
    """

    @cache
    def homes() -> dict[str, str]:
        tree = ast.parse(Path(str(sys.modules[package].__file__)).read_text(encoding="utf-8"))
        blocks = (node.body for node in tree.body if isinstance(node, ast.If))
        found = [one for block in blocks for one in block if isinstance(one, ast.ImportFrom)]
        return {alias.name: str(one.module) for one in found for alias in one.names}

    def get(name: str) -> Any:
        if name == "__all__":
            return sorted(homes())
        if name.startswith("__") or name not in homes():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes()[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    module = vars(sys.modules[package])
    module["__dir__"] = lambda: sorted({*module, *homes()})
    return get


def lookup(choices: Mapping[str, T], name: str, kind: str) -> T:
    """Return the entry `name` of a plain mapping; `kind` is what error messages call an entry."""
    if name in choices:
        return choices[name]
    raise ValueError(_unknown(kind, name, choices))


def _unknown(
    kind: str,
    name: str,
    names: Iterable[str],
    similar: Sequence[str] = (),
    others: Sequence[str] = (),
) -> str:
    """Say that there is no such name, and list `names`, but not those that are only `similar`."""
    names = sorted(names)
    choices = [", ".join(names) or "(none)", *others]
    hint = did_you_mean(name, [*names, *similar])
    return f"unknown {kind} {name!r}{hint}; choose from: {', or '.join(choices)}"


def names_class(name: str) -> bool:
    """Whether a name has the form `module.path:ClassName` of a user's class."""
    module_path, _, class_name = name.partition(":")
    return all(part.isidentifier() for part in (*module_path.split("."), class_name))


def import_class(path: str, kind: str, base: type) -> type[Any]:
    """Import `module.path:ClassName`, a subclass of `base`; what the module raises is passed on."""
    module_path, _, name = path.partition(":")
    module = _import_module(module_path, f"{kind} {path!r}")
    found = getattr(module, name, None)
    if found is None:
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise ValueError(
            f"{kind} {path!r}: {module} has no class {name!r}{did_you_mean(name, classes)}"
        )
    if not (isinstance(found, type) and issubclass(found, base)):
        got = "class" if isinstance(found, type) else type(found).__name__
        wanted = f"{base.__module__}.{base.__name__}".replace("nn.modules.module.", "nn.")
        raise ValueError(f"Expected {kind} {path!r} to be a {wanted} class (got a {got})")
    if missing := sorted(getattr(found, "__abstractmethods__", ())):
        raise ValueError(
            f"{kind} {path!r} is unfinished: its class must define {', '.join(missing)}"
        )
    return found


def _check_class_is_there(path: str, kind: str) -> None:
    """Raise if there is no such module, or its file here never says the name of the class."""
    module_path, _, name = path.partition(":")
    if module_path in sys.modules:  # such as `__main__`, a script or a notebook
        return
    stem = Path(*module_path.split("."))
    # Of a package and a module of one name, Python imports the package.
    file = next(filter(Path.is_file, (stem / "__init__.py", stem.with_suffix(".py"))), None)
    if file is None:
        package = module_path.partition(".")[0]
        if not Path(package).exists() and find_spec(package) is None:
            raise ValueError(_no_module(module_path, f"{kind} {path!r}"))
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    if not re.search(rf"\b{name}\b|import \*|__getattr__|globals", text):
        classes = re.findall(r"^class (\w+)", text, re.MULTILINE)
        raise ValueError(
            f"{kind} {path!r}: '{file}' has no class {name!r}{did_you_mean(name, classes)}"
        )


def _no_module(module_path: str, what: str) -> str:
    return f"{what}: there is no module {module_path!r} in {os.getcwd()} or on the import path"


def _import_module(module_path: str, what: str) -> ModuleType:
    # Put the current folder first on the import path during the import, as `python -m` does, and
    # last afterwards, for later imports inside the module.
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(module_path)
    except ModuleNotFoundError as error:
        # Any other name belongs to a missing dependency of the user's module.
        if error.name is None or not f"{module_path}.".startswith(f"{error.name}."):
            raise
        raise ValueError(_no_module(module_path, what)) from error
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)
