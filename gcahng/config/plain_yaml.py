"""Read and write YAML with the scalars of YAML 1.2, and without duplicate keys.

PyYAML implements YAML 1.1, where `1e-5` is text, `no` is false and `12:30` is a number of seconds.
Here numbers are written as in Python, and true, false and null are the only special words.
"""

import re
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
NULLS = ("null", "Null", "NULL", "~")
_NULL = re.compile(rf"({'|'.join(NULLS)}|)$")
_BOOL = re.compile(r"(true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"[-+]?[0-9]+(_[0-9]+)*$")
_FLOAT = re.compile(
    r"([-+]?(\.[0-9]+|[0-9]+(_[0-9]+)*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)$"
)
_DIGITS = list("-+.0123456789")
# Far beyond any real file, far below what exhausts Python's stack or the memory.
_MOST_LEVELS, _MOST_VALUES, _MOST_DIGITS = 50, 1_000_000, 30


class _Loader(yaml.SafeLoader):
    # Start empty instead of inheriting the YAML 1.1 rules for `no`, `12:30` and dates.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own class attribute)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        # The anchor of each level around the current value, or None.
        self.levels: list[str | None] = []
        # How many values there are, those repeated by aliases included, and below each anchor.
        self.values, self.below = 0, dict[str, int]()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event, before = self.peek_event(), self.values
        problem = ""
        if isinstance(event, yaml.AliasEvent):
            self.values += self.below.get(event.anchor or "", 0)
            if event.anchor in self.levels:
                problem = f"the value of &{event.anchor} contains itself"
        if len(self.levels) >= _MOST_LEVELS:
            problem = f"values are nested more than {_MOST_LEVELS} levels deep"
        elif self.values > _MOST_VALUES:
            problem = f"aliases repeat more than {_MOST_VALUES:,} values"
        if problem:
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        self.levels.append(None if isinstance(event, yaml.AliasEvent) else event.anchor)
        node = super().compose_node(parent, index)
        self.levels.pop()
        self.values += 1
        if not isinstance(event, yaml.AliasEvent) and event.anchor:
            self.below[event.anchor] = self.values - before
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        text = super().construct_scalar(node)
        if isinstance(text, str) and "\0" in text:
            problem = "text contains a NUL character"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return text

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


class _FlowDumper(_Dumper):
    def represent_text(self, text: str) -> yaml.ScalarNode:
        # In single quotes, a line break would stay one.
        style = '"' if len(text.splitlines()) > 1 else None
        return self.represent_scalar(f"{_TAG}str", text, style)


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    if len(text) > _MOST_DIGITS:
        problem = f"a number of {len(text)} digits"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return int(text)


def _construct_float(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(loader.construct_scalar(node).replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_implicit_resolver(f"{_TAG}null", _NULL, ["n", "N", "~", ""])
_Loader.add_implicit_resolver(f"{_TAG}bool", _BOOL, list("tTfF"))
_FlowDumper.add_representer(str, _FlowDumper.represent_text)
for _class in (_Loader, _Dumper, _FlowDumper):
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
    with _explained(source):
        return yaml.load(text, _Loader)


def parse_scalar(text: str, source: str = "") -> Any:
    """Read a single value: a number, true, false, null, or else the text as it is.

    Raises:
        ValueError: If it is a number of very many digits.

    >>> [parse_scalar(text) for text in ("1e-3", "null", "photos: new #2")]
    [0.001, None, 'photos: new #2']
    """
    loader = _Loader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    with _explained(source):
        return loader.construct_object(yaml.ScalarNode(tag, text))


@contextmanager
def _explained(source: str) -> Iterator[None]:
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"{source}{where}: not valid YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        raise ValueError(
            f"{source}, character {error.position + 1}: not valid YAML: {error.reason}"
        ) from error


def to_yaml(values: dict[str, Any]) -> str:
    """Return block-style YAML in the given key order; `parse_yaml` reads it back unchanged."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def flow_entry(key: str, *value: Any) -> str:
    """Return `key: value` in one line, in flow style where it is a list; without a value `key:`.

    >>> flow_entry("ks", [1, 2]), flow_entry("note", "a: b"), flow_entry("data")
    ('ks: [1, 2]', "note: 'a: b'", 'data:')
    """
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": float("inf")}
    given = {key: value[0] if value else None}
    text = yaml.dump(given, Dumper=_FlowDumper, default_flow_style=True, **options)
    entry = text.strip()[1:-1]
    return entry if value else entry.removesuffix(" null")
