"""Read and write YAML with the scalars of YAML 1.2, and without duplicate keys.

PyYAML implements YAML 1.1, where `1e-5` is text, `no` is false and `12:30` is a number of seconds.
Here numbers are written as in Python, and true, false and null are the only special words.
"""

import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "null": r"(null|Null|NULL|~|)$",
    "bool": r"(true|True|TRUE|false|False|FALSE)$",
    # Integers first, because the pattern of floats also matches them.
    "int": r"[-+]?[0-9]+(_[0-9]+)*$",
    "float": r"([-+]?(\.[0-9]+|[0-9]+(_[0-9]+)*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)$",
}


class _Loader(yaml.SafeLoader):
    # Start empty instead of inheriting the YAML 1.1 rules for `no`, `12:30` and dates.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own class attribute)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            problem = None
            if key.tag != f"{_TAG}str":
                problem = f"key {key.value!r} is not text; put it in quotes"
            elif key.value in lines:
                problem = f"key {key.value!r} was given before, on line {lines[key.value]}"
            if problem:
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    # Inherits PyYAML's rules, so that text is quoted if either version would parse it as a number.
    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        # In single quotes, a line break would stay one.
        return self.represent_scalar(f"{_TAG}str", text, '"' if "\n" in text else None)


for _name, _pattern in _SCALARS.items():
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(_pattern), None)
    if _name in ("int", "float"):
        _Dumper.add_implicit_resolver(f"{_TAG}{_name}", re.compile(_pattern), None)
_Dumper.add_representer(str, _Dumper.represent_text)
_Loader.add_constructor(f"{_TAG}int", lambda loader, node: int(node.value))
_Loader.add_constructor(
    f"{_TAG}float", lambda loader, node: float(re.sub(r"\.(?=inf|nan)", "", node.value))
)


def parse_yaml(text: str, source: str) -> Any:
    """Parse a single YAML document; a ValueError gives `source`, line and column of a mistake."""
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"{source}{where}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from error


def to_yaml(values: dict[str, Any]) -> str:
    """Return block-style YAML in the given key order; `parse_yaml` reads it back unchanged."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
