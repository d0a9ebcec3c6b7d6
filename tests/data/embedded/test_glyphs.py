import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch

from gcahng.data import Glyphs
from gcahng.data.embedded import glyphs
from gcahng.data.embedded.glyphs import CHARACTERS, render


def test_splits_are_class_disjoint_and_of_the_documented_sizes(glyphs_root: Path) -> None:
    splits = {split: Glyphs(glyphs_root, split) for split in Glyphs.SPLITS}
    names = [name for dataset in splits.values() for name in dataset.classes]
    assert len(names) == len(set(names))
    for split, images in {"train": 8, "test": 16, "warm_start": 48}.items():
        assert set(splits[split].labels.bincount().tolist()) == {images}
    assert splits["train"].num_classes == splits["test"].num_classes == 188
    assert splits["warm_start"].num_classes > 120


def test_same_seed_same_bytes(glyphs_root: Path) -> None:
    cached, arrays = Glyphs(glyphs_root, "train"), render("train", 0)
    assert arrays["images"].dtype == np.uint8
    assert arrays["labels"].dtype == np.int64
    assert arrays["classes"][0].startswith("U+")
    assert np.array_equal(arrays["images"], cached.images.squeeze(1).numpy())
    other = Glyphs(None, "train", seed=1)
    assert other.classes == cached.classes
    assert not torch.equal(other.images, cached.images)


def test_cache_is_read_and_not_rendered_again(
    glyphs_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(split: str, seed: int) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(glyphs, "render", fail)
    assert len(Glyphs(glyphs_root, "test")) == 188 * 16
    with pytest.raises(AssertionError, match="rendered again"):
        Glyphs(glyphs_root, "test", seed=1)


def test_damaged_cache_is_named(tmp_path: Path, glyphs_root: Path) -> None:
    path = glyphs.cache_path(tmp_path, "train", 0)
    path.parent.mkdir()
    path.write_bytes(glyphs.cache_path(glyphs_root, "train", 0).read_bytes()[:5000])
    with pytest.raises(ValueError, match=rf"^'{path}' is damaged .*: delete it"):
        Glyphs(tmp_path, "train")


def test_characters_are_many_distinct_and_of_the_kept_kinds() -> None:
    assert len(CHARACTERS) == 535
    assert list(CHARACTERS) == sorted(set(CHARACTERS))
    assert {unicodedata.category(c)[0] for c in CHARACTERS} == set("LNPS")
    # Greek Alpha and Cyrillic A have the same shape as A; a diacritic makes another one.
    assert not set(".,:;'\"`_|─ΑА") & set(CHARACTERS)
    assert {"A", "Ä"} <= set(CHARACTERS)
