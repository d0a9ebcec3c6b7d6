"""Say in words what is wrong with a value: its place, what was expected, and what was found."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import UnionType
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError
from typing_extensions import get_type_hints, is_typeddict

Path = tuple[str | int, ...]

# How pydantic says what it expected → how we do.
_WORDS = {
    r"^(an object|a valid dictionary( or instance of \w+)?)$": "a mapping",
    r"^a valid (list|array|tuple)$": "a list",
    r"^a valid string$": "text",
    r"^a valid integer$": "an integer",
    r"^a valid number$": "a number",
    r"^a valid boolean$": "true or false",
    r"^(greater|less) ": r"a value \1 ",
}


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the most similar choice, or an empty string."""
    near = difflib.get_close_matches(name, list(choices), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def dotted(path: Path) -> str:
    """Return a path as users write it, such as `embedder.freeze[1]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def show(value: object) -> str:
    """Return a value in YAML notation, shortened to 60 characters."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def broken_rule(path: Path, expected: str, got: object, hint: str = "") -> NoReturn:
    """Raise for a value, at a path relative to the model, that contradicts another one."""
    context = {"path": path, "problem": f"expected {expected}, got {show(got)}{hint}"}
    raise PydanticCustomError("broken_rule", "{problem}", context)


def explain(
    error: ValidationError,
    kind: Any,
    values: Any,
    origin: Callable[[Path], str] = lambda _: "",
    outer: Path = (),
) -> str:
    """Return one line per mistake that pydantic found in values of a kind, such as a model.

    `origin` returns what begins the line about a path, such as the file that set its value; `outer`
    is where the values belong.
    """
    found: dict[Path, list[tuple[str, str]]] = {}
    for item in error.errors(include_url=False):
        path = _path(values, item["loc"])
        if item["type"] == "missing":
            path = (*path, item["loc"][-1])
        elif item["type"] == "broken_rule":
            path = (*path, *item["ctx"]["path"])
        found.setdefault(path, []).append(_problem(item, path, kind, outer))
    lines = []
    for path, problems in found.items():
        # Each member of a union reports what fits none of them; the innermost place is the mistake.
        if not any(other[: len(path)] == path != other for other in found):
            expected = " or ".join(dict.fromkeys(words for words, _ in problems if words))
            name = f"{dotted((*outer, *path))}: expected {expected}" if expected else ""
            lines.append(f"{origin(path)}{name}{problems[-1][1]}")
    return "\n".join(lines)


def _path(values: Any, location: Path) -> Path:
    """Return the part of pydantic's location that leads into the values, without its labels."""
    path: Path = ()
    for part in location:
        is_item = isinstance(values, list | tuple) and part in range(len(values))
        if is_item or (isinstance(values, Mapping) and part in values):
            path, values = (*path, part), values[part]
    return path


def _problem(item: Any, path: Path, kind: Any, outer: Path) -> tuple[str, str]:
    """Return what was expected, and the rest of the line."""
    name, message = dotted((*outer, *path)), str(item["msg"])
    if item["type"] == "missing":
        return "", f"missing key {name!r}"
    if item["type"] == "extra_forbidden":
        return "", f"unknown key {name!r}{_allowed(path, kind, outer)}"
    expected = message.removeprefix("Input should be ")
    if expected == message:
        return "", f"{name}: {message[0].lower()}{message[1:]}"
    for pattern, words in _WORDS.items():
        expected = re.sub(pattern, words, expected)
    got = item["input"]
    hint = did_you_mean(got, re.findall("'(.*?)'", expected)) if isinstance(got, str) else ""
    if expected == "text" and isinstance(got, int | float):
        hint = f": write it in quotes, as '\"{show(got)}\"'"
    return expected, f", got {show(got)}{hint}"


def _allowed(path: Path, kind: Any, outer: Path) -> str:
    """Suggest the nearest key here, or else that key in other sections, and list those allowed."""
    here = fields(field_at(kind, path[:-1]))
    if near := difflib.get_close_matches(str(path[-1]), here, n=1):
        intended = [(*path[:-1], near[0])]
    elif "args" in here:  # of a component, whose arguments are not keys of its section
        intended = [(*path[:-1], "args", path[-1])]
    else:
        intended = [found for found in _keys(kind) if found[-1] == path[-1]]
    names = " or ".join(repr(dotted((*outer, *found))) for found in intended)
    hint = f" (did you mean {names}?)" if names else ""
    return f"{hint}; allowed here: {', '.join(here) or 'none'}"


def _keys(kind: Any, outer: Path = ()) -> Iterator[Path]:
    for name, inner in fields(kind).items():
        yield (*outer, name)
        yield from _keys(inner, (*outer, name))


def field_at(kind: Any, path: Path) -> Any:
    """Return the type of what a path leads to; None where the type of the whole leaves it open."""
    for part in path:
        kind = next((inner for one in choices(kind) if (inner := _inner(one, part))), None)
    return kind


def fields(kind: Any) -> dict[str, Any]:
    """Return the keys of a section, a model or a TypedDict, and their types; none of any other."""
    for one in choices(kind):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return {
                field.alias or name: field.annotation for name, field in one.model_fields.items()
            }
        if is_typeddict(one):
            return get_type_hints(one)
    return {}


def choices(kind: Any) -> list[Any]:
    """Return the members of a union, or the type itself, without annotations."""
    if get_origin(kind) is Annotated:
        return choices(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [one for member in get_args(kind) for one in choices(member)]
    return [kind]


def _inner(kind: Any, part: str | int) -> Any:
    if isinstance(part, str) and part in fields(kind):
        return fields(kind)[part]
    inner = get_args(kind) if get_origin(kind) in (dict, list, Sequence) else ()
    return inner[-1] if inner and inner[-1] is not Any else None


@contextmanager
def blame_setting(path: str) -> Iterator[None]:
    """Prefix the ValueErrors of the block with a setting, unless they name it already.

    Other errors are passed on: they are mistakes of the component's code, not of its settings.
    """
    try:
        yield
    except ValueError as error:
        text = str(error)
        named = text.startswith(path) or f"'{path}." in text
        raise ValueError(text if named else f"{path}: {text}") from error
