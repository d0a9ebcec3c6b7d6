"""Read overrides of the form `key.path=value`."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from gcahng.config.plain_yaml import NULLS, parse_yaml
from gcahng.config.sections import each_quirk
from gcahng.errors import Path, choices, dotted, field_at, show

OVERRIDE = "override"


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
        keys = tuple(name.strip().split("."))
        if not equals or not all(keys):
            raise ValueError(f"{OVERRIDE} {text!r}: expected key.path=value, as in train.epochs=5")
        if not value.strip():
            raise ValueError(f"{OVERRIDE} {text!r}: no value given; write {name}=null for none")
        inner, current = mapping, values
        for depth, key in enumerate(keys[:-1], start=1):
            where = dotted(keys[:depth])
            current = current.get(key, {}) if isinstance(current, dict) else {}
            if inner.get(key, current) is None:
                whole = f"set it as a whole, as in '{where}={{…}}'"
                raise ValueError(f"{OVERRIDE} {text!r}: {where} is null; {whole}")
            found = inner.get(key, {})
            found = each_quirk(found) if where == "quirks" else found
            if not isinstance(found, dict):
                raise ValueError(f"{OVERRIDE} {text!r}: {where} was set to {show(found)} before it")
            inner[key] = found
            inner = found
        inner[keys[-1]] = _value(value.strip(), keys, f"{OVERRIDE} {text!r}", schema)
    return mapping


def _value(text: str, path: Path, source: str, schema: type[BaseModel] | None) -> Any:
    """Read a value as its key needs it: `photos #2` and `2021` are text if the key takes text."""
    kind = None if schema is None else field_at(schema, path)
    if not set(choices(kind)) <= {str, type(None)} or kind is None:
        return parse_yaml(text, source)
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return None if text in NULLS else parse_yaml(text, source) if quoted else text
