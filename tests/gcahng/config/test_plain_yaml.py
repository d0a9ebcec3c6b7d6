import math
from typing import Any

import pytest

from gcahng.config.plain_yaml import parse_yaml, to_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("010", 10),
        (".inf", math.inf),
        ("true", True),
        ("null", None),
        ("", None),
        ("'1e-5'", "1e-5"),
        ("no", "no"),
        ("12:30", "12:30"),
        ("2026-01-31", "2026-01-31"),
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
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: .*key 'a' was given before, on line 1"),
        ("a:\n  b: 1\n  b: 1\n", "line 3, column 3: .*key 'b' was given before, on line 2"),
        ("1: x\n", "line 1, column 1: .*key '1' is not text"),
        ("a: b: c\n", "line 1, column 5: .*mapping values are not allowed here"),
        ("a: [1, 2\n", "line 2, column 1: .*expected ',' or ']'"),
        ("a: !!python/object:os.system x", "line 1, column 4: .*could not determine a constructor"),
    ],
)
def test_mistakes(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^f.yaml, {sentence}") as info:
        parse_yaml(text, "f.yaml")
    assert "\n" not in str(info.value)


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
    assert parse_yaml("a: &x [1]\nc: {d: *x}\n", "") == {"a": [1], "c": {"d": [1]}}
