import math
from typing import Any

import pytest

from gcahng.config.plain_yaml import parse_yaml, to_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1E+3", 1000.0),
        ("5.e-4", 5e-4),
        ("-.5", -0.5),
        ("+2", 2),
        ("010", 10),
        ("1_000", 1000),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1e-5'", "1e-5"),
        ("1e-5x", "1e-5x"),
        ("1.2.3", "1.2.3"),
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2026-01-31", "2026-01-31"),
        ("32-true", "32-true"),
        ("recall@1", "recall@1"),
        ("[1, 1e1, x]", [1, 10.0, "x"]),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    parsed = parse_yaml(text, "here")
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "a: 1\nb: 2\na: 3\n",
            "f.yaml, line 3, column 1: not valid YAML: key 'a' was given before, on line 1",
        ),
        (
            "a:\n  b: 1\n  b: 1\n",
            "f.yaml, line 3, column 3: not valid YAML: key 'b' was given before, on line 2",
        ),
        (
            "1: x\n",
            "f.yaml, line 1, column 1: not valid YAML: key '1' is not text; put it in quotes",
        ),
        (
            "a: b: c\n",
            "f.yaml, line 1, column 5: not valid YAML: mapping values are not allowed here",
        ),
        (
            "a: [1, 2\n",
            "f.yaml, line 2, column 1: not valid YAML: expected ',' or ']', but got '<stream end>'",
        ),
        (
            "a: !!python/object:os.system x",
            "f.yaml, line 1, column 4: not valid YAML: could not determine a constructor for the "
            "tag 'tag:yaml.org,2002:python/object:os.system'",
        ),
    ],
)
def test_mistakes(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="not valid YAML") as info:
        parse_yaml(text, "f.yaml")
    assert str(info.value) == sentence


def test_to_yaml_keeps_order_types_and_text_that_looks_like_something_else() -> None:
    shared = [1]
    values = {
        "z": 1e-5,
        "a": ["1e-5", "no", "010", "12:30", "null", "2026-01-31", "ü"],
        "n": None,
        "big": 1e22,
        "first": shared,
        "second": shared,
    }
    text = to_yaml(values)
    assert parse_yaml(text, "here") == values
    assert list(parse_yaml(text, "here")) == list(values)
    assert "&" not in text


def test_an_anchor_may_be_used_again() -> None:
    assert parse_yaml("a: &x [1]\nb: *x\nc: {d: *x}\n", "") == {
        "a": [1],
        "b": [1],
        "c": {"d": [1]},
    }
