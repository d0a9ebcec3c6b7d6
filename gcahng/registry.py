"""Find a component by its name, or say which names there are."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def lookup(choices: Mapping[str, T], name: str, kind: str) -> T:
    """Return the entry called `name`.

    Args:
        choices: The registry, for example `CONVS`.
        name: The name that the user wrote.
        kind: What is being looked up, in words; it opens the error sentence.

    Raises:
        ValueError: If there is no such name; the sentence lists the names there are.
    """
    if name in choices:
        return choices[name]
    listed = ", ".join(sorted(choices)) or "(none)"
    raise ValueError(f"unknown {kind} {name!r}{did_you_mean(name, choices)}; choose from: {listed}")


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the nearest choice, or an empty string."""
    near = nearest(name, choices)
    return f" (did you mean {near!r}?)" if near else ""


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice that looks most like `name`, if any comes close."""
    return next(iter(difflib.get_close_matches(name, list(choices), n=1)), None)
