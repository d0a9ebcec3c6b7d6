"""What `verify` finds in a data set."""

from pathlib import Path

import pytest

from gcahng.data import CUB, CSVFile, Digits, InShop, Size, Verification, check_findable, verify
from tests.data.trees import csv_tree, cub_tree, folder_tree, inshop_tree


def sizes(result: Verification) -> dict[str, Size]:
    return {part.name: part.size for part in result.parts}


@pytest.fixture
def birds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of the expected size: its folder of images."""
    monkeypatch.setattr(CUB, "expected", {"train": Size(6, 3), "test": Size(4, 2)})
    return cub_tree(tmp_path, train=3, test=2, images=2) / "images"


def test_a_good_tree_has_no_problems(birds: Path) -> None:
    calls: list[tuple[int, int]] = []
    result = verify("cub", birds.parent, lambda done, total: calls.append((done, total)))
    assert result == verify(CUB, birds.parent)
    assert (result.problems, result.notes) == ([], [])
    assert sizes(result) == CUB.expected
    assert [part.expected for part in result.parts] == [Size(6, 3), Size(4, 2)]
    assert calls == [(done, 10) for done in range(1, 11)]


def test_every_bad_file_is_found_and_none_stops_it(birds: Path) -> None:
    photos = sorted(birds.rglob("*.jpg"))
    photos[0].unlink()
    photos[3].write_bytes(photos[3].read_bytes()[:-20])
    photos[5].write_text("nothing")
    result = verify("cub", birds.parent, unreadable="skip")
    (problem,) = result.problems
    assert problem.startswith(f"Missing or unreadable files (3): {photos[0]} (no such file), ")
    assert sizes(result) == CUB.expected


def test_wrong_counts_are_problems(birds: Path) -> None:
    cub_tree(birds.parent.parent, train=3, test=1, images=2)
    counts, classes = verify("cub", birds.parent).problems
    assert "4 images of 2 classes in the test part, as published (got 2 of 1)" in counts
    assert "test split has one class" in classes


def test_a_table_that_nothing_can_be_measured_on(tmp_path: Path) -> None:
    csv_tree(tmp_path, train=2, test=3, images=1)
    (problem,) = verify("csv", tmp_path).problems
    assert problem.startswith("No query of the test split has another image of its class")
    with pytest.raises(ValueError, match="No query of the validation split"):
        check_findable(CSVFile(tmp_path, "test"), "validation")


def test_queries_and_gallery_are_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = inshop_tree(tmp_path, train=2, test=3, images=2)
    expected = {"train": Size(4, 2), "query": Size(6, 3), "gallery": Size(6, 3)}
    monkeypatch.setattr(InShop, "expected", expected)
    result = verify("inshop", tmp_path)
    assert (sizes(result), result.problems) == (expected, [])
    table = home / "list_eval_partition.txt"
    lines = table.read_text().splitlines()
    kept = [row for row in lines if not ("id_00000005" in row and row.endswith("gallery"))]
    table.write_text("\n".join(kept))
    counts, alone = verify("inshop", tmp_path).problems
    assert "gallery part, as published (got 4 of 2)" in counts
    assert alone == "Query classes without an image in the gallery (1): id_00000005."


def test_embedded_data_is_counted(glyphs_root: Path) -> None:
    assert sizes(verify(Digits, None)) == {"train": Size(901, 5), "test": Size(896, 5)}
    result = verify("glyphs", glyphs_root)
    assert list(sizes(result)) == ["train", "test", "warm_start"]
    assert (result.problems, result.notes) == ([], [])


def test_a_table_to_test_on_needs_no_training_split(tmp_path: Path) -> None:
    csv_tree(tmp_path, train=0, test=2)
    result = verify("csv", tmp_path)
    assert (sizes(result), result.problems) == ({"test": Size(4, 2)}, [])
    assert "The train split of list has no readable image" in result.notes[0]
    csv_tree(tmp_path, train=2, test=0)
    (problem,) = verify("csv", tmp_path).problems
    assert "The test split of list has no readable image" in problem
    (tmp_path / "list.csv").write_text("path,label,split\n")
    with pytest.raises(ValueError, match=r"^The train split of list has no readable image"):
        verify("csv", tmp_path)


def test_classes_of_two_splits(tmp_path: Path) -> None:
    """A problem in training and testing; a note for the validation split."""
    folder_tree(tmp_path / "train", "abc")
    folder_tree(tmp_path / "test", "bcd", images=3)
    folder_tree(tmp_path / "valid", "ae", images=3)
    for split, names in (("test", "bc"), ("valid", "a")):  # the same pictures as in train/
        for path in (tmp_path / split / name / f"{n}.jpg" for name in names for n in (0, 1)):
            path.unlink()
    result = verify("folder", tmp_path)
    assert result.problems == ["Classes in both train and test (2): b, c."]
    assert "Classes in both train and val (1): a." in result.notes
    assert [*sizes(result)] == ["train", "test", "val"]
    assert result.name == tmp_path.name


def test_lone_images_are_notes(tmp_path: Path) -> None:
    folder_tree(tmp_path / "train", "abc")
    folder_tree(tmp_path / "test", "de")
    (tmp_path / "train" / "b" / "0.jpg").unlink()
    (tmp_path / "test" / "e" / "1.jpg").unlink()
    result = verify("folder", tmp_path)
    assert result.problems == []
    assert result.notes == [
        "Classes of train with one image: batches repeat it (1): b.",
        "Classes of test with one image: it has no match to find (1): e.",
    ]


def test_one_picture_in_two_splits_names_both_files(tmp_path: Path) -> None:
    csv_tree(tmp_path, train=2, test=2, images=2)
    photos = tmp_path / "photos"
    (photos / "copy.png").write_bytes((photos / "1_0.png").read_bytes())
    with (tmp_path / "list.csv").open("a") as file:
        file.write("photos/0_0.png,class 2,test,\nphotos/copy.png,class 3,test,\n")
    assert verify("csv", tmp_path).problems == [
        "Pictures in two splits, which must share none (2): "
        f"{photos}/0_0.png (train, 'class 0') and {photos}/0_0.png (test, 'class 2'), "
        f"{photos}/1_0.png (train, 'class 1') and {photos}/copy.png (test, 'class 3')."
    ]


def test_pictures_shared_by_published_splits_are_a_note(birds: Path) -> None:
    photos = sorted(birds.rglob("*.jpg"))
    photos[-1].write_bytes(photos[0].read_bytes())
    result = verify("cub", birds.parent)
    assert (result.problems, len(result.notes)) == ([], 1)


def test_one_picture_with_two_labels_is_a_note(tmp_path: Path) -> None:
    folder_tree(tmp_path / "train", "ab")
    folder_tree(tmp_path / "test", "cd")
    first, second = tmp_path / "train" / "a" / "1.jpg", tmp_path / "train" / "b" / "1.jpg"
    second.write_bytes(first.read_bytes())
    (tmp_path / "train" / "a" / "again.jpg").write_bytes(first.read_bytes())
    result = verify("folder", tmp_path)
    assert (result.problems, len(result.notes)) == ([], 1)
    assert f"{first} (train, 'a') and {second} (train, 'b')" in result.notes[0]
