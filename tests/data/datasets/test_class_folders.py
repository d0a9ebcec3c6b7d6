import os
from pathlib import Path

import pytest
from torchvision.datasets import ImageFolder

from gcahng.data import Folder
from gcahng.data.datasets.class_folders import class_folders, labelled_pictures, picture_files
from tests.data.trees import folder_tree, photo


def test_class_folders_are_listed_as_image_folder_does(tmp_path: Path) -> None:
    folder_tree(tmp_path, ["b", "B", "a 1", "10", "9"], images=2)
    photo(tmp_path / "b" / "deep" / "x.PNG", 1)
    theirs = ImageFolder(str(tmp_path))
    ours = class_folders(tmp_path)
    assert ours.paths == [path for path, _ in theirs.samples]
    assert ours.names == [theirs.classes[label] for _, label in theirs.samples]
    assert ours.is_query is None


def test_class_folders_pass_over_what_is_hidden_loose_or_empty(tmp_path: Path) -> None:
    folder_tree(tmp_path, ["a"], images=1)
    (tmp_path / "empty").mkdir()
    photo(tmp_path / ".cache" / "0.jpg", 1)
    photo(tmp_path / "loose.jpg", 1)
    (tmp_path / "a" / "notes.HEIC").touch()
    listing = class_folders(tmp_path)
    assert (listing.paths, listing.names) == ([f"{tmp_path}/a/0.jpg"], ["a"])
    formats, folders = listing.notes
    assert "1 .heic" in formats
    assert "folders without an image: empty" in folders


def test_pictures_are_found_by_suffix_in_order(tmp_path: Path) -> None:
    for name in ("b/1.JPG", "b/deep/2.Png", "a.tiff", "z.webp", "c.GIF", "d.jfif"):
        photo_path = tmp_path / name
        photo_path.parent.mkdir(parents=True, exist_ok=True)
        photo_path.touch()
    for name in (".hidden.jpg", "._a.tiff", "notes.txt", "jpg", ".git/3.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folders = [f"e/{letter}" for letter in "hcadgbef"]
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.png").touch()
    # A link to the folder itself is an endless cycle.
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    found = [str(Path(path).relative_to(tmp_path)) for path in picture_files(tmp_path)[0]]
    assert found == ["a.tiff", "c.GIF", "d.jfif", "z.webp", "b/1.JPG", "b/deep/2.Png"] + [
        f"{folder}/1.png" for folder in sorted(folders)
    ]
    linked = tmp_path.with_name(f"{tmp_path.name}-link")
    linked.symlink_to(tmp_path / "b" / "deep")
    assert picture_files(linked)[0] == [str(linked / "2.Png")]


def forbid(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make a folder unreadable, also for root."""
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


@pytest.mark.parametrize("name", ["b", "b/deep"])
def test_a_class_folder_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder_tree(tmp_path, "abcde")
    (tmp_path / "b" / "deep").mkdir()
    forbid(monkeypatch, tmp_path / name)
    with pytest.raises(OSError, match=f"^Cannot read the folder '{tmp_path / name}'"):
        Folder(tmp_path)


@pytest.mark.parametrize("splits", [(), ("train", "test"), ("train", "test", "valid")])
def test_labels_are_those_of_the_data_set(tmp_path: Path, splits: tuple[str, ...]) -> None:
    homes = [tmp_path / split for split in splits] or [tmp_path]
    for number, home in enumerate(homes):
        folder_tree(home, [f"{number}{letter}" for letter in "abcd"])
        photo(home / f"{number}b" / "deep" / "x.jpg", 1)
        photo(home / f"{number}b" / ".hidden" / "x.jpg", 1)
        photo(home / "loose.jpg", 1)
    names = Folder(tmp_path).SPLITS
    expected = {}
    for split in names:
        dataset = Folder(tmp_path, split)
        for path, label in zip(dataset.paths, dataset.labels.tolist(), strict=True):
            expected[path] = (dataset.classes[label], split if splits else None)
    found = {file.path: (file.label, file.split) for file in labelled_pictures(tmp_path)}
    loose = {str(home / "loose.jpg") for home in homes}
    assert found.keys() - loose == expected.keys()
    assert {path: found[path] for path in expected} == expected
    assert {found[path][0] for path in loose} == {None}
    assert len(found) == 10 * len(homes)


def test_train_and_test_folders_are_the_splits(tmp_path: Path) -> None:
    folder_tree(tmp_path / "train", ["cat", "ant", "Bee"], images=3)
    folder_tree(tmp_path / "test", ["dog", "emu"], images=2)
    train, test = Folder(tmp_path), Folder(tmp_path, "test")
    assert train.classes == ["Bee", "ant", "cat"]
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert (test.classes, len(test)) == (["dog", "emu"], 4)
    assert (train.is_query, train.name) == (None, tmp_path.name)


def test_class_folders_are_divided_at_random_as_wholes(tmp_path: Path) -> None:
    names = [f"class {i:02}" for i in range(10)]
    folder_tree(tmp_path, names, images=2)
    train = Folder(tmp_path, test_share=0.2)
    test = Folder(tmp_path, "test", test_share=0.2)
    assert test.num_classes == 2
    assert sorted(train.classes + test.classes) == names
    assert len(train) == 2 * train.num_classes
    others = [Folder(tmp_path, test_share=0.2, seed=seed).classes for seed in range(1, 4)]
    assert any(classes != train.classes for classes in others)


def test_too_few_classes_explain_the_layout(tmp_path: Path) -> None:
    folder_tree(tmp_path, ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"3 of at least 4 class .* \(a, b, c\): expected"):
        Folder(tmp_path)
    folder_tree(tmp_path / "train", ["a"])
    folder_tree(tmp_path / "test", ["b", "c"])
    with pytest.raises(ValueError, match=rf"^'{tmp_path}/train' has 1 of at least 2 "):
        Folder(tmp_path)
    assert Folder(tmp_path, "test").num_classes == 2
    with pytest.raises(FileNotFoundError, match=f"^There is no folder '{tmp_path}/x': expected on"):
        Folder(tmp_path, path="x")


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_folder_beside_train_and_test_is_the_validation_split(tmp_path: Path, name: str) -> None:
    folder_tree(tmp_path / "train", "ab")
    folder_tree(tmp_path / "test", "cd")
    with pytest.raises(ValueError, match="has no validation split: expected val/, valid/ or"):
        Folder(tmp_path, "val")
    assert Folder(tmp_path).SPLITS == ("train", "test")
    folder_tree(tmp_path / name, "ef", images=1)
    assert Folder(tmp_path).SPLITS == ("train", "test", "val")
    assert Folder(tmp_path, "val").paths == [f"{tmp_path}/{name}/{c}/0.jpg" for c in "ef"]
    with pytest.raises(ValueError, match=r"^Folder has no split 'valid': choose one of train, te"):
        Folder(tmp_path, "valid")
