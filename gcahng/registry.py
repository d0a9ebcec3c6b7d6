"""Find a component by its name: a layer, a loss, a generator, a backbone or a data set."""

import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Library(Generic[T]):
    """Another library whose components can be named beside our own.

    Attributes:
        find: Name → component, or None where the library has none of that name.
        names: All names it has, to suggest a near one.
        described: What it offers, in words that end the sentence "choose from: …, or".
    """

    find: Callable[[str], T | None]
    names: Callable[[], Iterable[str]]
    described: str


class Registry(Mapping[str, T]):
    """The components of one kind by name, and the one way to find and build them.

    Args:
        kind: What they are, in words, for error sentences: "layer", "data set".
        entries: Our own components by name.
        user_base: The class that a user's own component, named `module.path:ClassName`, inherits
            from; None where users cannot bring their own.
        library: Where names that are not ours may be found.

    Example:
        >>> from gcahng.graph import CONVS
        >>> CONVS.find("gca")
        <class 'gcahng.graph.convs.gca_conv.GCAConv'>
        >>> CONVS.find("gac")
        Traceback (most recent call last):
            ...
        ValueError: unknown layer 'gac' (did you mean 'gca'?); choose from: ...
    """

    def __init__(
        self,
        kind: str,
        entries: Mapping[str, T],
        *,
        user_base: type | None = None,
        library: Library[T] | None = None,
    ) -> None:
        self.kind, self.entries = kind, dict(entries)
        self.user_base, self.library = user_base, library

    def __getitem__(self, name: str) -> T:
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, name: str) -> T:
        """Return the component called `name`.

        Raises:
            ValueError: If nobody knows the name; the sentence lists the names there are.
        """
        if self.user_base is not None and ":" in name:
            return import_class(name, self.kind, self.user_base)  # type: ignore[return-value]
        if name in self.entries:
            return self.entries[name]
        if self.library is not None and (found := self.library.find(name)) is not None:
            return found
        raise ValueError(self._unknown(name))

    def build(self, name: str, *args: Any, **settings: Any) -> Any:
        """Find a component and call it.

        Raises:
            ValueError: If there is no such component, or it does not take these arguments.
        """
        make: Any = self.find(name)
        check_call(f"{self.kind} {name!r}", make, *args, **settings)
        return make(*args, **settings)

    def _unknown(self, name: str) -> str:
        theirs = self.library.names() if self.library is not None else ()
        choices = [", ".join(sorted(self.entries))]
        choices += [self.library.described] if self.library is not None else []
        if self.user_base is not None:
            choices.append("a class of your own as module.path:ClassName")
        hint = did_you_mean(name, [*self.entries, *theirs])
        return f"unknown {self.kind} {name!r}{hint}; choose from: {', or '.join(choices)}"


def lookup(choices: Mapping[str, T], name: str, kind: str) -> T:
    """Return the entry called `name` of a plain mapping, such as the cells of a grid.

    Args:
        choices: Entries by name.
        name: The name that the user wrote.
        kind: What is looked up, in words; it opens the error sentence.

    Raises:
        ValueError: If there is no such name; the sentence lists the names there are.
    """
    if name in choices:
        return choices[name]
    listed = ", ".join(sorted(choices)) or "(none)"
    raise ValueError(f"unknown {kind} {name!r}{did_you_mean(name, choices)}; choose from: {listed}")


def check_call(what: str, make: Callable[..., Any], *args: Any, **settings: Any) -> None:
    """Raise unless `make` can be called with these arguments.

    Raises:
        ValueError: If it cannot; the sentence names the argument and what there is to set.
    """
    signature = inspect.signature(make)
    parameters = signature.parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        check_arguments(what, settings, [p.name for p in list(parameters)[len(args) :]])
    try:
        signature.bind(*args, **settings)
    except TypeError as error:
        raise ValueError(f"{what} cannot be made: {error}; it takes {signature}") from error


def check_arguments(what: str, given: Iterable[str], takes: Sequence[str]) -> None:
    """Raise unless everything that is given is also taken.

    Raises:
        ValueError: If not; the sentence names the nearest argument and lists all.
    """
    for name in given:
        if name not in takes:
            raise ValueError(
                f"{what} takes no {name!r}{did_you_mean(name, takes)}; it takes "
                f"{', '.join(takes) or 'no arguments'}"
            )


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the nearest choice, or an empty string."""
    near = nearest(name, choices)
    return f" (did you mean {near!r}?)" if near else ""


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice that looks most like `name`, if any comes close."""
    return next(iter(difflib.get_close_matches(name, list(choices), n=1)), None)


def import_class(path: str, kind: str, base: type) -> type[Any]:
    """Import a user's class, named `module.path:ClassName`, from the current folder or installed.

    Args:
        path: Its name.
        kind: What it is to be, in words, for error sentences.
        base: What it has to inherit from.

    Raises:
        ValueError: If there is no such module or class, or it does not inherit from `base`. An
            error inside the module is raised as it is.
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
