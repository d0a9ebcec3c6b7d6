"""Hugging Face data sets as other programs save them: with a format, some columns, or no rows."""

from pathlib import Path
from typing import Any

import pytest

from gcahng.data import HuggingFace, verify
from tests.data.trees import hugging_face

hf = pytest.importorskip("datasets", reason='pip install "gcahng[hf]"')
NAMES = ["ant", "bee", "cat", "dog"]


@pytest.mark.parametrize("splits", [False, True])
@pytest.mark.parametrize(
    "setting",
    [
        *({"type": kind} for kind in ("torch", "numpy", "pandas", "arrow")),
        *({"type": None, "columns": [name]} for name in ("image", "label")),
        {"type": "torch", "columns": ["label"], "output_all_columns": True},
    ],
    ids=lambda setting: "-".join(map(str, setting.values())),
)
def test_the_format_that_rows_were_saved_in_does_not_matter(
    tmp_path: Path, setting: dict[str, Any], splits: bool
) -> None:
    names = {"one": NAMES[:2], "two": NAMES[2:]} if splits else NAMES
    hugging_face(tmp_path / "plain", names)
    hf.load_from_disk(str(tmp_path / "plain")).with_format(**setting).save_to_disk(tmp_path / "set")
    args = {"train": "one", "test": "two"} if splits else {}
    plain = HuggingFace(tmp_path / "plain", "test", **args)
    found = HuggingFace(tmp_path / "set", "test", **args)
    assert (found.classes, found.labels.tolist()) == (plain.classes, plain.labels.tolist())
    for row in range(len(plain)):
        assert found.load(row).tobytes() == plain.load(row).tobytes()


def test_empty_splits_are_one_sentence(tmp_path: Path) -> None:
    hugging_face(tmp_path / "full", {"one": NAMES[:2], "two": NAMES[2:]})
    whole = hf.load_from_disk(str(tmp_path / "full"))
    empty = hf.DatasetDict(one=whole["one"], two=whole["two"].select([]))
    empty.save_to_disk(tmp_path / "empty")
    empty["two"].save_to_disk(tmp_path / "nothing")
    hf.DatasetDict().save_to_disk(tmp_path / "no splits")
    for name, sentence in {
        "empty": r"empty' has no rows in 'two', and .* save it again",
        "nothing": r"nothing' has no rows, and .* save it again",
        "no splits": r"no splits' has no image\.$",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            HuggingFace(tmp_path / name)
        with pytest.raises(ValueError, match=sentence):
            verify("huggingface", tmp_path / name)


def test_empty_splits_of_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = hf.load_from_disk(str(hugging_face(tmp_path / "full", NAMES)))
    empty = hf.DatasetDict(one=whole, two=whole.select([]))
    monkeypatch.setattr(hf, "load_dataset", lambda *args, **settings: empty)
    with pytest.raises(ValueError, match=r"The test split of 'me/animals' has no image\."):
        HuggingFace(None, "test", hub="me/animals", train="one", test="two")
    # Where all splits are taken together, one may be empty.
    assert HuggingFace(None, hub="me/animals").num_classes == 2
