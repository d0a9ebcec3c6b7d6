"""What `verify` says about classes."""

from pathlib import Path

from gcahng.data import CSVFile, Folder, Size, verify
from tests.data.trees import csv_tree, folder_tree, photo


def test_classes_of_both_splits_are_a_problem(tmp_path: Path) -> None:
    folder_tree(tmp_path / "train", ["a", "b", "c"])
    folder_tree(tmp_path / "test", ["b", "c", "d"], images=3)
    for name in "bc":  # the same pictures as in train/
        for number in range(2):
            (tmp_path / "test" / name / f"{number}.jpg").unlink()
    result = verify(Folder, tmp_path)
    assert result.problems == ["Classes in both train and test (2), which must share none: b, c."]
    assert result.name == tmp_path.name


def test_lone_images_are_notes(tmp_path: Path) -> None:
    folder_tree(tmp_path / "train", ["a", "b", "c"])
    folder_tree(tmp_path / "test", ["d", "e"])
    (tmp_path / "train" / "b" / "0.jpg").unlink()
    (tmp_path / "test" / "e" / "1.jpg").unlink()
    result = verify("folder", tmp_path)
    assert result.problems == []
    assert result.notes == [
        "Classes of train with one image (1 of 3), which batches repeat: b.",
        "Classes of test with one image (1 of 2), so their queries have no correct match: e.",
    ]


def test_one_image_in_the_gallery_is_no_note(tmp_path: Path) -> None:
    csv_tree(tmp_path, images=2, roles=("is_query",))
    with (tmp_path / "list.csv").open("a") as file:
        file.write("photos/0_0.png,class 9,test,false\n")
    unused = [f"Columns of '{tmp_path}/list.csv' that are not used: remark."]
    assert verify(CSVFile, tmp_path).notes == unused
    csv_tree(tmp_path, images=1)
    assert len(verify(CSVFile, tmp_path).notes) == 3


def test_classes_of_the_validation_folder(tmp_path: Path) -> None:
    folder_tree(tmp_path / "train", "ab")
    folder_tree(tmp_path / "test", "cd")
    folder_tree(tmp_path / "valid", "be", images=3)
    for name in ("0.jpg", "1.jpg"):  # the same pictures as in train/
        (tmp_path / "valid" / "b" / name).unlink()
    result = verify("folder", tmp_path)
    assert {part.name: part.size for part in result.parts} == {
        "train": Size(4, 2),
        "test": Size(4, 2),
        "val": Size(4, 2),
    }
    assert result.problems == []
    assert result.notes == [
        "Classes of val with one image (1 of 2), so their queries have no correct match: b.",
        "Classes in both train and val (1), so the best epoch is not chosen on classes that occur "
        "nowhere else: b.",
        "The validation split 'val' chooses the best epoch, in place of classes held out from "
        "training; with data.validation=0 it is not used.",
    ]


def test_labels_that_differ_in_writing_are_a_note(tmp_path: Path) -> None:
    csv_tree(tmp_path, images=2)
    labels = ["1", "1.0", "c00", "C00", "caf\u00e9", "cafe\u0301", "a  b", "A b", "1.5", "01x"]
    with (tmp_path / "list.csv").open("a", encoding="utf-8") as file:
        for number, label in enumerate(labels):
            photo(tmp_path / "photos" / f"more {number}.png", number, 7)
            file.write(f"photos/more {number}.png,{label},{('train', 'test')[number % 2]},\n")
    notes = [note for note in verify("csv", tmp_path).notes if note.startswith("Labels")]
    assert notes == [
        "Labels that differ only in writing, and so are separate classes (4): '1' and '1.0', "
        "'a  b' and 'A b', 'c00' and 'C00', 'caf\u00e9' and 'cafe\u0301'."
    ]
