"""Hugging Face data sets: made here, saved to disk, read as any other data set."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gcahng.data import HuggingFace, build_dataset
from tests.data.trees import hugging_face

hf = pytest.importorskip("datasets", reason="needs the extra hf")
NAMES = ["ant", "bee", "cat", "dog"]
COLUMNS = {"image": "picture", "label": "kind"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of three images, saved as one data set."""
    folder = tmp_path_factory.mktemp("hf")
    hugging_face(folder / "animals", NAMES)
    return folder


def test_classes_are_split_at_random_as_wholes(saved: Path) -> None:
    train = HuggingFace(saved / "animals")
    test = HuggingFace(saved / "animals", "test")
    assert sorted(train.classes + test.classes) == NAMES
    assert (len(train), len(test), train.SPLITS) == (6, 6, ("train", "test"))
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    others = [HuggingFace(saved / "animals", seed=seed).classes for seed in range(1, 6)]
    assert any(classes != train.classes for classes in others)
    assert (train.name, train.is_query) == ("animals", None)


def test_several_splits_are_taken_together_or_as_they_are(tmp_path: Path) -> None:
    both = {"train": NAMES[:2], "test": NAMES[2:], "validation": NAMES[1:3]}
    hugging_face(tmp_path, both)
    train, test = HuggingFace(tmp_path), HuggingFace(tmp_path, "test")
    assert not set(train.classes) & set(test.classes)
    assert len(train) + len(test) == 18
    splits = {"train": "train", "test": "test", "val": "validation"}
    own = [HuggingFace(tmp_path, split, splits=splits) for split in splits]
    assert [one.classes for one in own] == [NAMES[:2], NAMES[2:], NAMES[1:3]]
    assert own[0].SPLITS == ("train", "test", "val")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(["x", "x", "b", "b"], ["b", "x"]), ([10, 10, 9, 9], ["9", "10"])],
)
def test_labels_may_be_texts_or_integers(
    tmp_path: Path, labels: Sequence[Any], classes: list[str]
) -> None:
    images = [Image.new("L", (4, 4))] * 4
    kind = hf.Value("string" if "x" in labels else "int64")
    features = hf.Features({"picture": hf.Image(), "kind": kind})
    hf.Dataset.from_dict({"picture": images, "kind": labels}, features).save_to_disk(tmp_path / "a")
    hf.DatasetDict({"one": hf.load_from_disk(tmp_path / "a")}).save_to_disk(tmp_path / "b")
    found = HuggingFace(tmp_path / "b", splits={"train": "one", "test": "one"}, **COLUMNS)
    assert (found.classes, found.labels.tolist()) == (classes, [1, 1, 0, 0])


def _broken(folder: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(file, format="PNG")
    whole, half = {"bytes": file.getvalue(), "path": None}, {"bytes": b"half", "path": None}
    features = hf.Features({"image": hf.Image(), "label": hf.ClassLabel(names=NAMES)})
    rows = {"image": [whole, half, whole, None] * 2, "label": [0, 0, 1, 1, 2, 2, 3, 3]}
    hf.Dataset.from_dict(rows, features).save_to_disk(folder)


def test_a_broken_image_is_named_by_its_row(tmp_path: Path) -> None:
    _broken(tmp_path / "broken")
    splits = [HuggingFace(tmp_path / "broken", split) for split in ("train", "test")]
    found = next(split for split in splits if 1 in split.indices)
    with pytest.raises(ValueError, match=r"^Cannot read the image in row 1 of '.*broken' \(not an"):
        found[found.indices.index(1)]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"image": "images"}, r"no column 'images' \(did you mean 'image'\?\): set 'image' to "),
        ({"label": "kind"}, "no column 'kind': set 'label' to one of image, label"),
        ({"image": "label"}, "Column 'label' of .* has no images"),
        ({"label": "image"}, "Column 'image' of .* has <PIL"),
        ({"splits": {"train": "x"}}, "Expected 'splits' to name 'train' and 'test'"),
        ({"splits": {"train": "x", "test": "y"}}, "no split 'x'; it has: none"),
        ({"test_share": 0.9}, "A test share of 0.9 of 4 classes"),
    ],
)
def test_mistakes_name_the_argument(saved: Path, args: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build_dataset("huggingface", "train", saved / "animals", **args)


def test_other_folders(saved: Path) -> None:
    for folder in (saved, saved / "none"):
        with pytest.raises(FileNotFoundError, match=str(folder)):
            HuggingFace(folder)


def test_a_data_set_of_the_hub_is_loaded_by_name(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = hf.load_from_disk(saved / "animals")

    def load(name: str, config: str | None) -> Any:
        assert (name, config) == ("someone/animals", "small")
        return hf.DatasetDict(one=whole, two=whole.select([]))

    monkeypatch.setattr(hf, "load_dataset", load)
    found = HuggingFace(None, hub="someone/animals", config="small")
    # Where all splits are taken together, one may be empty.
    assert (found.name, found.num_classes) == ("animals", 2)
    splits = {"train": "one", "test": "two"}
    with pytest.raises(ValueError, match=r"The test split of 'someone/animals' has no image"):
        HuggingFace(None, "test", hub="someone/animals", config="small", splits=splits)


def test_a_missing_package_is_one_sentence(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"needs the package datasets"):
        HuggingFace(saved / "animals")


def test_images_are_upright_rgb_of_their_row(saved: Path) -> None:
    train = HuggingFace(saved / "animals")
    for index in (0, 4):
        image, label = train[index]
        assert (image.mode, image.size) == ("RGB", (12, 8))
        # The red of a pixel counts the rows of the whole data set.
        assert image.getpixel((0, 0))[0] == train.indices[index]
        assert NAMES[train.indices[index] // 3] == train.classes[label]
