import unicodedata

import numpy as np

from gcahng.data.embedded.characters import (
    CANVAS,
    FONTS,
    bitmaps,
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


def test_bitmaps_show_the_character_in_the_middle() -> None:
    images = bitmaps(("A", "−"), FONTS[0])
    assert images.shape == (2, CANVAS, CANVAS)
    assert images.dtype == np.uint8
    for image in images:
        rows, columns = image.nonzero()
        assert abs(rows.min() + rows.max() + 1 - CANVAS) <= 1
        assert abs(columns.min() + columns.max() + 1 - CANVAS) <= 1
    assert np.ptp(images[0].nonzero()[0]) > 2 * np.ptp(images[1].nonzero()[0])
