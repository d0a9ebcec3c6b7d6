from collections.abc import Sequence
from typing import Any

import pytest

from gcahng.registry import Registry, did_you_mean, lookup, nearest

LOSSES = {"npair": 1, "triplet": 2}


def test_lookup_returns_the_entry() -> None:
    assert lookup(LOSSES, "triplet", "loss") == 2


def test_lookup_names_the_nearest_and_lists_the_choices() -> None:
    with pytest.raises(ValueError, match="unknown") as info:
        lookup(LOSSES, "npiar", "loss")
    assert str(info.value) == (
        "unknown loss 'npiar' (did you mean 'npair'?); choose from: npair, triplet"
    )


def test_lookup_without_a_near_match() -> None:
    with pytest.raises(ValueError, match="unknown") as info:
        lookup(LOSSES, "zzz", "loss")
    assert str(info.value) == "unknown loss 'zzz'; choose from: npair, triplet"


def test_lookup_in_an_empty_registry() -> None:
    with pytest.raises(ValueError, match=r"^unknown conv 'gca'; choose from: \(none\)$"):
        lookup({}, "gca", "conv")


def test_nearest_and_did_you_mean_agree() -> None:
    assert nearest("npiar", LOSSES) == "npair"
    assert nearest("zzz", LOSSES) is None
    assert did_you_mean("npiar", LOSSES) == " (did you mean 'npair'?)"
    assert did_you_mean("zzz", LOSSES) == ""


def component(
    count: int = 1,
    share: float = 0.5,
    name: str | None = None,
    flag: bool = True,
    other: Any = 0,
    sizes: Sequence[int] = (),
    pair: tuple[float, float] = (0, 1),
) -> str:
    return f"{count} {share} {name} {flag} {other} {sizes} {pair}"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"count": "half"}, "expected 'count' as an integer, got 'half'"),
        ({"count": 1.5}, "expected 'count' as an integer, got 1.5"),
        ({"count": True}, "expected 'count' as an integer, got True"),
        ({"share": "half"}, "expected 'share' as a number, got 'half'"),
        ({"share": None}, "expected 'share' as a number, got None"),
        (
            {"name": 2021},
            "expected 'name' as text or null, got 2021; write it in quotes, as '\"2021\"'",
        ),
        ({"sizes": 3}, "expected 'sizes' as a list of integers, got 3"),
        ({"sizes": [3, "x"]}, "expected 'sizes' as a list of integers, got [3, 'x']"),
        ({"pair": [1.0]}, "expected 'pair' as a list of 2 numbers, got [1.0]"),
        ({"flag": 1}, "expected 'flag' as true or false, got 1"),
    ],
)
def test_values_of_the_wrong_kind(settings: dict[str, Any], sentence: str) -> None:
    registry = Registry("thing", {"one": component})
    with pytest.raises(ValueError, match=r"^thing 'one': ") as info:
        registry.build("one", **settings)
    assert str(info.value) == f"thing 'one': {sentence}"


def test_values_of_the_right_kind() -> None:
    registry = Registry("thing", {"one": component})
    settings = {"count": 3, "share": 1, "name": None, "flag": False, "other": object}
    settings |= {"sizes": [1, 2], "pair": (1, 0.5)}
    assert registry.build("one", **settings).startswith("3 1 None False")
