import unicodedata

from gcahng.data.embedded.characters import (
    distinct_characters,
)


def test_characters_are_many_distinct_and_of_the_kept_kinds() -> None:
    characters = distinct_characters()
    assert 500 < len(characters) < 570
    assert list(characters) == sorted(set(characters))
    assert not set(".,:;'\"`_|─") & set(characters)
    assert {unicodedata.category(c)[0] for c in characters} == set("LNPS")


def test_look_alikes_are_kept_once() -> None:
    characters = set(distinct_characters())
    assert "A" in characters
    # Greek Alpha and Cyrillic A have the same shape; a diacritic makes another one.
    assert not {"Α", "А"} & characters
    assert "Ä" in characters
