"""Read and write YAML with the scalars of YAML 1.2, and without duplicate keys.

PyYAML implements YAML 1.1, where `1e-5` is text, `no` is false and `12:30` is a number of seconds.
Here numbers are written as in Python, and true, false and null are the only special words.
"""

import re
from collections.abc import Hashable
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"(null|Null|NULL|~|)$")
_BOOL = re.compile(r"(true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"[-+]?[0-9]+(_[0-9]+)*$")
_FLOAT = re.compile(
    r"([-+]?(\.[0-9]+|[0-9]+(_[0-9]+)*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)$"
)
_DIGITS = list("-+.0123456789")


class _Loader(yaml.SafeLoader):
    # Start empty instead of inheriting the YAML 1.1 rules for `no`, `12:30` and dates.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own class attribute)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag != f"{_TAG}str":
                problem = f"key {key.value!r} is not text; put it in quotes"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            if key.value in lines:
                problem = f"key {key.value!r} was given before, on line {lines[key.value]}"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    # Inherits PyYAML's rules, so that text is quoted if either version would parse it as a number.
    def ignore_aliases(self, data: object) -> bool:
        return True


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


def _construct_float(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(loader.construct_scalar(node).replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_implicit_resolver(f"{_TAG}null", _NULL, ["n", "N", "~", ""])
_Loader.add_implicit_resolver(f"{_TAG}bool", _BOOL, list("tTfF"))
for _class in (_Loader, _Dumper):
    # Integers first, because the pattern of floats also matches them.
    _class.add_implicit_resolver(f"{_TAG}int", _INT, _DIGITS)
    _class.add_implicit_resolver(f"{_TAG}float", _FLOAT, _DIGITS)
_Loader.add_constructor(f"{_TAG}int", _construct_int)
_Loader.add_constructor(f"{_TAG}float", _construct_float)


def parse_yaml(text: str, source: str) -> Any:
    """Parse a single YAML document.

    Args:
        text: The YAML.
        source: Its origin in error messages: a file's path or an override.

    Raises:
        ValueError: If it is not valid YAML; the message gives line and column.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"{source}{where}: not valid YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        raise ValueError(
            f"{source}, character {error.position + 1}: not valid YAML: {error.reason}"
        ) from error


def parse_scalar(text: str) -> Any:
    """Read a single value: a number, true, false, null, or else the text as it is.

    >>> [parse_scalar(text) for text in ("1e-3", "null", "photos: new #2")]
    [0.001, None, 'photos: new #2']
    """
    loader = _Loader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    return loader.construct_object(yaml.ScalarNode(tag, text))


def to_yaml(values: dict[str, Any]) -> str:
    """Return block-style YAML in the given key order; `parse_yaml` reads it back unchanged."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
