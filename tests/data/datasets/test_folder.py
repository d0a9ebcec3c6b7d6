import re
from pathlib import Path

import pytest

from gcahng.data import Folder
from tests.data.trees import folder_tree, photo


def test_train_and_test_folders_are_the_splits(tmp_path: Path) -> None:
    folder_tree(tmp_path / "train", ["cat", "ant", "Bee"], images=3)
    folder_tree(tmp_path / "test", ["dog", "emu"], images=2)
    train, test = Folder(tmp_path), Folder(tmp_path, "test")
    assert train.classes == ["Bee", "ant", "cat"]
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert (test.classes, len(test)) == (["dog", "emu"], 4)
    assert (train.is_query, train.name) == (None, tmp_path.name)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_class_folders_are_divided_at_random_as_wholes(tmp_path: Path, share: float) -> None:
    names = [f"class {i:02}" for i in range(10)]
    folder_tree(tmp_path, names, images=2)
    train = Folder(tmp_path, test_share=share)
    test = Folder(tmp_path, "test", test_share=share)
    assert test.num_classes == 10 * share
    assert sorted(train.classes + test.classes) == names
    assert len(train) == 2 * train.num_classes
    assert all(Path(path).parent.name in train.classes for path in train.paths)
    assert train.classes == Folder(tmp_path, test_share=share, seed=0).classes
    others = [Folder(tmp_path, test_share=share, seed=seed).classes for seed in range(1, 4)]
    assert any(classes != train.classes for classes in others)


def test_path_names_a_folder_below_the_root_or_anywhere(tmp_path: Path) -> None:
    folder_tree(tmp_path / "all" / "my photos")
    below = Folder(tmp_path / "all", path="my photos")
    assert len(below) == 4
    assert below.name == "my photos"
    anywhere = Folder(tmp_path / "unused", path=str(tmp_path / "all" / "my photos"))
    assert anywhere.paths == below.paths


def test_train_without_test_is_a_class_like_others(tmp_path: Path) -> None:
    folder_tree(tmp_path, ["train", "bus", "car", "bike"])
    assert len(Folder(tmp_path)) + len(Folder(tmp_path, "test")) == 8


def test_what_does_not_count(tmp_path: Path) -> None:
    folder_tree(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a" / "notes.txt").touch()
    photo(tmp_path / "a" / ".thumbnails" / "0.jpg", 1)
    photo(tmp_path / "a" / "holiday" / "0.jpg", 1)
    both = [*Folder(tmp_path).paths, *Folder(tmp_path, "test").paths]
    assert len(both) == 9
    assert f"{tmp_path}/a/holiday/0.jpg" in both


EXPECTED = (
    r"expected one folder of images per class, either inside train/ and test/ or, for a random "
    r"class split, directly in this folder\.$"
)


def test_too_few_classes_explain_the_layout(tmp_path: Path) -> None:
    photo(tmp_path / "1.jpg", 1)
    photo(tmp_path / "2.PNG", 1)
    found = "0 class folders with images and 2 images outside class folders, fewer than 4 classes"
    with pytest.raises(ValueError, match=rf"^'{tmp_path}' has {found}: {EXPECTED}"):
        Folder(tmp_path)
    folder_tree(tmp_path, ["a"])
    found = r"1 class folder with images \(a\) and 2 images outside class folders"
    with pytest.raises(ValueError, match=found):
        Folder(tmp_path)
    folder_tree(tmp_path, ["b", "c"])
    with pytest.raises(ValueError, match=r"3 class folders with images \(a, b, c\) and"):
        Folder(tmp_path)
    folder_tree(tmp_path / "train", ["a"])
    folder_tree(tmp_path / "test", ["b", "c"])
    with pytest.raises(ValueError, match=rf"^'{tmp_path}/train' has 1 class .*fewer than 2 "):
        Folder(tmp_path)
    assert Folder(tmp_path, "test").num_classes == 2


def test_a_missing_folder_explains_the_layout(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"^There is no folder '{tmp_path}/x': {EXPECTED}"):
        Folder(tmp_path, path="x")


def test_a_share_that_leaves_one_class_is_refused(tmp_path: Path) -> None:
    folder_tree(tmp_path, list("abcdefghij"), images=1)
    with pytest.raises(ValueError, match=r"^A test share of 0.1 of 10 classes gives 1 for test"):
        Folder(tmp_path, test_share=0.1)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_folder_beside_train_and_test_is_the_validation_split(tmp_path: Path, name: str) -> None:
    folder_tree(tmp_path / "train", "ab")
    folder_tree(tmp_path / "test", "cd")
    message = (
        f"'{tmp_path}' has no validation split: expected val/, valid/ or validation/ beside train/ "
        "and test/."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Folder(tmp_path, "val")
    assert Folder(tmp_path).SPLITS == ("train", "test")
    folder_tree(tmp_path / name, "ef", images=1)
    assert Folder(tmp_path).SPLITS == ("train", "test", "val")
    assert Folder(tmp_path, "val").paths == [f"{tmp_path}/{name}/{c}/0.jpg" for c in "ef"]
    with pytest.raises(ValueError, match=r"^Folder has no split 'valid': choose one of train, te"):
        Folder(tmp_path, "valid")
