import pytest

from gcahng.registry import did_you_mean, lookup, nearest

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
