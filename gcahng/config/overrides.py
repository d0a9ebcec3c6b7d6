"""Read overrides of the form `key.path=value`."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from gcahng.config.errors import Path, accepts_text, dotted, field_at, section_at, show
from gcahng.config.plain_yaml import NULLS, parse_scalar, parse_yaml
from gcahng.config.sections import each_quirk

OVERRIDE = "override"
# What begins a value that only YAML can read: a list, a mapping, text in quotes.
_YAML = tuple("[{'\"")


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Parse settings of the form `key.path=value`, with values in YAML, into a nested mapping.

    Raises:
        ValueError: If a setting does not have this form.

    Example:
        >>> parse_settings(["split=test", "loss.args.alpha=3.0", "loss.args.delta=1e-1"])
        {'split': 'test', 'loss': {'args': {'alpha': 3.0, 'delta': 0.1}}}
    """
    return parse_overrides(texts, {}, None)


def parse_overrides(
    overrides: Iterable[str], values: dict[str, Any], schema: type[BaseModel] | None
) -> dict[str, Any]:
    """Parse `key.path=value` overrides into one mapping; later ones take precedence.

    Setting a key below a section that is null, in `values` or by an earlier override, is an
    error, because the section's other keys would silently get their defaults.

    Args:
        overrides: The texts.
        values: The values that they change.
        schema: Tells which keys are text, so that these are read as written.

    Raises:
        ValueError: If an override does not have this form.
    """
    mapping: dict[str, Any] = {}
    for text in overrides:
        name, equals, value = text.partition("=")
        keys = name.strip().split(".")
        if not equals or not all(keys):
            raise ValueError(f"{OVERRIDE} {text!r}: expected key.path=value, as in train.epochs=5")
        if not value.strip():
            raise ValueError(f"{OVERRIDE} {text!r}: no value given; write {name}=null for none")
        inner, current = mapping, values
        for depth, key in enumerate(keys[:-1]):
            current = current.get(key, {}) if isinstance(current, dict) else {}
            if inner.get(key, current) is None:
                null = ".".join(keys[: depth + 1])
                raise ValueError(
                    f"{OVERRIDE} {text!r}: {null} is null; set it as a whole, as in '{null}={{…}}'"
                )
            inner[key] = _reached(inner.get(key, {}), tuple(keys[: depth + 1]), text, schema)
            inner = inner[key]
        inner[keys[-1]] = _value(value.strip(), tuple(keys), f"{OVERRIDE} {text!r}", schema)
    return mapping


def _reached(found: Any, path: Path, text: str, schema: type[BaseModel] | None) -> dict[str, Any]:
    """Return the mapping that an override reaches into, where an earlier one left `found`."""
    if schema is not None and path == ("quirks",):
        found = each_quirk(found)
    if isinstance(found, dict):
        return found
    if schema is not None and section_at(schema, path) is not None:
        where = dotted(path)
        raise ValueError(f"{OVERRIDE} {text!r}: {where} was set to {show(found)} before it")
    return {}


def _value(text: str, path: Path, source: str, schema: type[BaseModel] | None) -> Any:
    """Read a value as its key needs it: `photos #2` and `2021` are text if the key takes text."""
    if "\0" in text:
        raise ValueError(f"{source}: the value contains a NUL character")
    kind = None if schema is None else field_at(schema, path)
    if kind is not None and accepts_text(kind):
        return None if text in NULLS else _unquoted(text)
    # A component's own argument: a single value unless it looks like a list or a mapping.
    if kind is None and not text.startswith(_YAML):
        return parse_scalar(text, source)
    return parse_yaml(text, source)


def _unquoted(text: str) -> str:
    """The text without the quotes around it, if it has them."""
    if text[0] not in "'\"":
        return text
    try:
        read = parse_yaml(text, "")
    except ValueError:
        return text
    return read if isinstance(read, str) else text
