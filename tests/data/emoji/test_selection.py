"""Which emoji are classes, and which drawing shows which."""

import hashlib
from typing import Any

import pytest

from gcahng.data.emoji.icon_set import IconSet
from gcahng.data.emoji.selection import select_pictures, split_of
from tests.data.emoji.drawn import CODES, icon_set

NAMES = list(CODES.values())


def _sets(count: int, names: list[str] = NAMES, **settings: Any) -> list[IconSet]:
    settings.setdefault("characters", {f"1f4{i:02d}": name for i, name in enumerate(names)})
    return [icon_set(f"set{i}", names, f"#00000{i}", **settings) for i in range(count)]


def _shown(sets: list[IconSet]) -> dict[str, dict[str, str]]:
    """The name in the comment of each drawing, by class and set."""
    found: dict[str, dict[str, str]] = {}
    for picture in select_pictures(sets):
        drawn = picture.svg.partition("<!-- ")[2].partition(" -->")[0]
        found.setdefault(picture.class_name, {})[picture.set_name] = drawn
    return found


def test_every_emoji_that_four_sets_draw_is_a_class() -> None:
    assert list(_shown(_sets(4))) == NAMES
    assert _shown(_sets(3)) == {}


def test_splits_depend_on_the_name_alone() -> None:
    for name in ("cat", "dog", "owl", "melting-face"):
        odd = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2
        assert split_of(name) == ("test" if odd else "train")
    assert {picture.split for picture in select_pictures(_sets(4))} == {"train", "test"}


LEFT_OUT = [
    *("man", "old-woman", "man-cook", "family", "couple-with-heart", "people-hugging", "kiss"),
    *("two-oclock", "two-thirty", "women-holding-hands", "handshake"),
]
KEPT = ["manual", "mango", "kissing-face", "kiss-mark", "two-hump-camel", "alarm-clock", "person"]


def test_variants_are_left_out_by_name() -> None:
    assert list(_shown(_sets(4, [*LEFT_OUT, *KEPT]))) == KEPT


def test_variants_are_left_out_by_code_points() -> None:
    codes = {"1f44b": "hand", "1f44b-1f3fb": "pale", "1f9d9-200d-2640-fe0f": "mage", "2615": "tea"}
    names = list(codes.values())
    assert list(_shown(_sets(4, names, characters=codes))) == ["hand", "tea"]


def test_flags_and_symbols_are_left_out() -> None:
    categories = {"Flags": ["cat"], "Symbols": ["dog"], "Animals": ["octopus"]}
    assert list(_shown(_sets(4, categories=categories))) == ["octopus"], "an owl has no category"


def test_code_points_come_before_names_and_aliases() -> None:
    """The insect is named `cricket`, which elsewhere is an alias of the sport."""
    codes = {"1f997": "cricket", "1f3cf": "cricket-game"}
    sets = _sets(3, ["cricket", "cricket-game"], characters=codes)
    swapped = {"1f3cf": "cricket", "1f997-fe0f": "cricket-game"}
    sets.append(icon_set("swapped", ["cricket", "cricket-game"], "red", swapped))
    alias = {"cricket": {"parent": "cricket-game"}}
    sets.append(icon_set("sport", ["cricket-game"], "blue", aliases=alias))
    shown = _shown(sets)
    assert "sport" not in shown["cricket"]
    assert shown["cricket-game"]["sport"] == "cricket-game"
    assert shown["cricket"]["swapped"] == "cricket-game"


def test_names_are_compared_without_hyphens_and_by_aliases_that_only_rename() -> None:
    sets = _sets(4, ["bear", "black-cat"], aliases={"bruin": {"parent": "bear"}})
    sets.append(icon_set("folded", ["blackcat", "Bruin"], "red"))
    aliases = {"bear": {"parent": "bear-face"}, "black-cat": {"parent": "tom", "hFlip": True}}
    sets.append(icon_set("aliased", ["bear-face", "tom"], "blue", aliases=aliases))
    shown = _shown(sets)
    assert shown["bear"]["folded"] == "Bruin"
    assert shown["black-cat"]["folded"] == "blackcat"
    assert shown["bear"]["aliased"] == "bear-face"
    assert "aliased" not in shown["black-cat"]


def test_misleading_names_mean_what_is_drawn() -> None:
    sets = _sets(4, ["dog", "dog-face", "keyboard"])
    sets.append(icon_set("fxemoji", ["dog", "dogside", "keyboard"], "red"))
    shown = _shown(sets)
    assert (shown["dog"]["fxemoji"], shown["dog-face"]["fxemoji"]) == ("dogside", "dog")
    assert "fxemoji" not in shown["keyboard"]


@pytest.mark.parametrize(("count", "expected"), [(4, []), (5, ["cat", "dog"])])
def test_one_drawing_for_two_emoji_shows_neither(count: int, expected: list[str]) -> None:
    sets = _sets(count, ["cat", "dog"])
    icons = sets[1].icons["icons"]
    icons["cat"] = icons["dog"]
    shown = _shown(sets)
    assert list(shown) == expected
    assert all("set1" not in found for found in shown.values())
