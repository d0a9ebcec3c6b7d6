"""Check the kinds of values that a user gives to a component."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

# Python's name of a type → what a user calls one of it, and several.
_KINDS = {
    int: ("an integer", "integers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    bool: ("true or false", "truth values"),
    NoneType: ("null", "nulls"),
}


def is_integer(value: object, least: int) -> bool:
    """Whether a value is an integer, of Python or NumPy, of at least `least`.

    Example:
        >>> is_integer(3, 1), is_integer(0, 1), is_integer(2.5, 1), is_integer(True, 1)
        (True, False, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def check_weights(**weights: float) -> None:
    """Raise a ValueError unless every argument is a finite number of at least 0.

    Example:
        >>> check_weights(gamma=-1.0)
        Traceback (most recent call last):
        ValueError: Expected 'gamma' as a number of at least 0 (got -1.0)
    """
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"Expected {name!r} as a number of at least 0 (got {weight!r})")


def check_types(what: str, make: Callable[..., Any], settings: Mapping[str, Any]) -> None:
    """Raise unless arguments are of the kinds that a class or function annotates.

    Numbers, texts, truth values and lists of them are checked; others are left to the component.

    Raises:
        ValueError: If one is not; the message names it.

    Example:
        >>> from gcahng.losses import NPairLoss
        >>> check_types("loss 'npair'", NPairLoss, {"temperature": "hot"})
        Traceback (most recent call last):
            ...
        ValueError: loss 'npair': expected 'temperature' as a number, got 'hot'
    """
    parameters = inspect.signature(make).parameters
    for name in settings.keys() & parameters.keys():
        annotation, value = parameters[name].annotation, settings[name]
        choices = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
        expected = [_described(choice) for choice in choices]
        if None in expected or any(_fits(value, choice) for choice in choices):
            continue
        hint = f"; write it in quotes, as '\"{value}\"'" if str in choices else ""
        listed = " or ".join(map(str, expected))
        quote = hint if isinstance(value, int | float) else ""
        raise ValueError(f"{what}: expected {name!r} as {listed}, got {value!r}{quote}")


def _described(kind: Any) -> str | None:
    """What a user calls a value of this type; None if it is not checked."""
    if kind in _KINDS:
        return _KINDS[kind][0]
    items = [one for one in get_args(kind) if one is not ...]
    if get_origin(kind) in (list, tuple, Sequence) and all(one in _KINDS for one in items):
        fixed = get_origin(kind) is tuple and ... not in get_args(kind)
        return f"a list of {f'{len(items)} ' if fixed else ''}{_KINDS[items[0]][1]}"
    return None


def _fits(value: Any, kind: Any) -> bool:
    if kind in _KINDS:
        return isinstance(value, (int, float) if kind is float else kind) and (
            kind is bool or not isinstance(value, bool)
        )
    items = [one for one in get_args(kind) if one is not ...]
    fixed = get_origin(kind) is tuple and ... not in get_args(kind)
    return (
        isinstance(value, list | tuple)
        and all(_fits(one, items[0]) for one in value)
        and (not fixed or len(value) == len(items))
    )
