import pytest

from gcahng.registry import lookup

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
