"""Turn pydantic's errors into messages: the location, what was expected, and what was found."""

import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from gcahng.registry import did_you_mean, nearest

Path = tuple[str | int, ...]

_NOUNS: dict[Any, tuple[str, str]] = {
    int: ("an integer", "integers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    bool: ("true or false", "true or false"),
    dict: ("a mapping", "mappings"),
}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "pattern": "matching"}


def broken_rule(path: Path, expected: str, got: object, hint: str = "") -> NoReturn:
    """Raise for a value that contradicts another one; for use in a model validator.

    Args:
        path: The value's path, relative to the model.
        expected: What is expected, for the message.
        got: The value found.
        hint: Appended to the message.
    """
    context = {"path": path, "problem": f"expected {expected}, got {show(got)}{hint}"}
    raise PydanticCustomError("broken_rule", "{problem}", context)


def explain(
    error: ValidationError, schema: type[BaseModel], source: str, origin: Callable[[Path], str]
) -> str:
    """Return one line per error.

    Args:
        error: The errors found by pydantic.
        schema: The model being validated.
        source: The experiment's file, named in messages about missing keys.
        origin: Maps a path to the file or override that set its value.
    """
    # Keyed by location: pydantic reports a value that fits no member of a union once per member.
    messages: dict[tuple[Path, str], str] = {}
    for item in error.errors(include_url=False):
        path, kind = _follow(schema, item["loc"])
        # Where a mapping is only one of several choices, the value is reported, not its keys.
        forbidden = item["type"] == "extra_forbidden" and _fields(_plain(kind)[0])
        unknown = str(item["loc"][-1]) if forbidden else ""
        if (path, unknown) in messages:
            continue
        if unknown:
            text = f"{origin((*path, unknown))}: {_unknown_key(path, unknown, kind, schema)}"
        elif item["type"] == "missing":
            text = f"{source}: missing key {dotted(path)!r}; expected {describe(kind)}"
        elif item["type"] == "broken_rule":
            path = (*path, *item["ctx"]["path"])
            text = f"{origin(path)}: {dotted(path)}: {item['ctx']['problem']}"
        else:
            text = f"{origin(path)}: {dotted(path)}: {_invalid_value(kind, item['input'])}"
        messages[path, unknown] = text
    return "\n".join(messages.values())


def show(value: object) -> str:
    """Return a value in YAML notation, shortened to 60 characters."""
    constants = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return constants[value]
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _invalid_value(kind: Any, got: object) -> str:
    hint = did_you_mean(got, _literals(kind)) if isinstance(got, str) else ""
    return f"expected {describe(kind)}, got {show(got)}{hint}"


def _unknown_key(path: Path, key: str, model: Any, schema: type[BaseModel]) -> str:
    allowed = list(_fields(_plain(model)[0]))
    near = nearest(key, allowed)
    # If no key of this section is similar, suggest the same key in another section.
    intended = (*path, near) if near else next((p for p in _keys(schema) if p[-1] == key), ())
    hint = f" (did you mean {dotted(intended)!r}?)" if intended else ""
    return f"unknown key {dotted((*path, key))!r}{hint}; allowed here: {', '.join(allowed)}"


def _follow(schema: type[BaseModel], location: Path) -> tuple[Path, Any]:
    """Return the part of a location that the schema defines, without pydantic's union labels."""
    path: Path = ()
    kind: Any = schema
    for part in location:
        plain, _ = _plain(kind)
        if part in _fields(plain):
            kind = _fields(plain)[str(part)]
        elif get_origin(plain) is list and isinstance(part, int):
            kind = get_args(plain)[0]
        elif get_origin(plain) is dict and _fields(get_args(plain)[1]):
            kind = get_args(plain)[1]
        else:
            break
        path = (*path, part)
    return path, kind


def field_at(schema: type[BaseModel], path: Path) -> Any:
    """Return the field or type at a path; None where the schema does not define it."""
    found, kind = _follow(schema, path)
    return kind if found == path else None


def section_at(schema: type[BaseModel], path: Path) -> Any:
    """Return the field at a path if it is a section, a mapping with known keys; else None."""
    kind = field_at(schema, path)
    return kind if kind is not None and _fields(_plain(kind)[0]) else None


def accepts_text(kind: Any) -> bool:
    """Whether a field takes any text, and nothing else but null."""
    return _plain(kind)[0] is str


def _keys(model: type[BaseModel], prefix: Path = ()) -> Iterator[Path]:
    for name, field in _fields(model).items():
        yield (*prefix, name)
        plain, _ = _plain(field)
        if _fields(plain):
            yield from _keys(plain, (*prefix, name))


def _fields(kind: Any) -> dict[str, FieldInfo]:
    """The fields of a model by the names they have in YAML; none for any other type."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def _plain(kind: Any) -> tuple[Any, list[Any]]:
    """Strip annotations and `| None` from a type; return it with the limits in the annotations."""
    if isinstance(kind, FieldInfo):
        plain, limits = _plain(kind.annotation)
        return plain, [*kind.metadata, *limits]
    if get_origin(kind) is Annotated:
        inner, *metadata = get_args(kind)
        plain, limits = _plain(inner)
        unpacked = [m.metadata if isinstance(m, FieldInfo) else [m] for m in metadata]
        return plain, [*(limit for part in unpacked for limit in part), *limits]
    if _is_union(kind):
        others = [choice for choice in get_args(kind) if choice is not type(None)]
        if len(others) == 1:
            return _plain(others[0])
    return kind, []


def describe(kind: Any, plural: bool = False) -> str:
    """Describe in words which values a type or a model's field accepts."""
    plain, limits = _plain(kind)
    nullable = type(None) in get_args(kind.annotation if isinstance(kind, FieldInfo) else kind)
    if _is_union(plain):
        text = " or ".join(describe(choice) for choice in get_args(plain))
    elif get_origin(plain) is Literal:
        text = " or ".join(repr(choice) for choice in get_args(plain))
    elif get_origin(plain) is list:
        filled = any(getattr(limit, "min_length", None) for limit in limits)
        items = describe(get_args(plain)[0], plural=True)
        text = f"a {'non-empty ' if filled else ''}list of {items}"
    elif fields := _fields(plain):
        text = f"a mapping (keys: {', '.join(fields)})"
    else:
        text = _NOUNS[get_origin(plain) or plain][plural]
    return text + _limits(limits) + (" or null" if nullable else "")


def _limits(limits: list[Any]) -> str:
    found = (
        f" {sign} {getattr(limit, name)}"
        for limit in limits
        for name, sign in _SIGNS.items()
        if getattr(limit, name, None) is not None
    )
    return " and".join(found)


def _literals(kind: Any) -> list[str]:
    plain, _ = _plain(kind)
    return [str(value) for value in get_args(plain)] if get_origin(plain) is Literal else []


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def dotted(path: Path) -> str:
    """Return a path as users write it."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
