"""Hugging Face data sets: made here, saved to disk, read as any other data set."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gcahng.data import HuggingFace, build_dataset, verify
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


def test_verify_decodes_every_image(saved: Path, tmp_path: Path) -> None:
    found = verify("huggingface", saved / "animals")
    sizes = [(part.name, part.size.images) for part in found.parts]
    assert sizes == [("train", 6), ("test", 6)]
    assert found.problems == []
    _broken(tmp_path / "broken")
    problems = verify("huggingface", tmp_path / "broken").problems
    assert len(problems) == 2
    assert "row 1 (not an image in a known format)" in "".join(problems)
    assert "row 3 (not an image in a known format)" in "".join(problems)
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


def test_other_folders_and_empty_splits(saved: Path, tmp_path: Path) -> None:
    for folder in (saved, saved / "none"):
        with pytest.raises(FileNotFoundError, match="no folder written by save_to_disk"):
            HuggingFace(folder)
    whole = hf.load_from_disk(str(saved / "animals"))
    hf.DatasetDict(one=whole, two=whole.select([])).save_to_disk(tmp_path / "empty")
    with pytest.raises(ValueError, match="empty' cannot be loaded"):
        HuggingFace(tmp_path / "empty")


def test_the_format_that_rows_were_saved_in_does_not_matter(saved: Path, tmp_path: Path) -> None:
    whole = hf.load_from_disk(str(saved / "animals"))
    whole.with_format("torch", columns=["label"]).save_to_disk(tmp_path)
    plain, found = HuggingFace(saved / "animals"), HuggingFace(tmp_path)
    assert (found.classes, found.labels.tolist()) == (plain.classes, plain.labels.tolist())
    assert found.load(3).tobytes() == plain.load(3).tobytes()


def test_a_row_without_a_label_is_refused(tmp_path: Path) -> None:
    features = hf.Features({"image": hf.Image(), "label": hf.ClassLabel(names=NAMES)})
    rows = {"image": [Image.new("L", (4, 4))] * 3, "label": [0, -1, 1]}
    hf.Dataset.from_dict(rows, features).save_to_disk(tmp_path)
    with pytest.raises(ValueError, match=r"Column 'label' of .* has -1 in row 1"):
        HuggingFace(tmp_path)


def test_a_data_set_of_the_hub_is_loaded_by_name(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = hf.load_from_disk(saved / "animals")

    def load(name: str, config: str | None) -> Any:
        if (name, config) != ("someone/animals", "small"):
            raise ConnectionError(f"Couldn't reach '{name}' on the Hub.\nmore")
        return hf.DatasetDict(one=whole, two=whole.select([]))

    monkeypatch.setattr(hf, "load_dataset", load)
    found = HuggingFace(None, hub="someone/animals", config="small")
    # Where all splits are taken together, one may be empty.
    assert (found.name, found.num_classes) == ("animals", 2)
    splits = {"train": "one", "test": "two"}
    with pytest.raises(ValueError, match=r"The test split of 'someone/animals' has no image"):
        HuggingFace(None, "test", hub="someone/animals", config="small", splits=splits)
    with pytest.raises(ValueError, match=r"'a/b' cannot be loaded: Couldn't reach 'a/b'"):
        HuggingFace(None, hub="a/b")


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
