from pathlib import Path

import pytest

from gcahng.data import (
    CUB,
    Cars,
    CSVFile,
    Digits,
    InShop,
    Size,
    Verification,
    check_findable,
    verify,
)
from tests.data.trees import cars_tree, csv_tree, cub_tree, folder_tree, inshop_tree


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
    assert (result.problems, result.notes, result.missing, result.unreadable) == ([], [], [], [])
    assert sizes(result) == CUB.expected
    assert [part.expected for part in result.parts] == [Size(6, 3), Size(4, 2)]
    assert calls == [(done, 10) for done in range(1, 11)]


def test_every_bad_file_is_found_and_none_stops_it(birds: Path) -> None:
    photos = sorted(birds.rglob("*.jpg"))
    photos[0].unlink()
    photos[9].unlink()
    photos[3].write_bytes(photos[3].read_bytes()[:-20])
    photos[5].write_text("nothing")
    result = verify("cub", birds.parent, unreadable="skip")
    assert result.missing == [str(photos[0]), str(photos[9])]
    assert [path for path, _ in result.unreadable] == [str(photos[3]), str(photos[5])]
    gone, broken = result.problems
    assert gone == f"Missing files (2): {photos[0]}, {photos[9]}."
    assert broken.startswith(f"Unreadable files (2): {photos[3]} (image file is trunc")
    assert broken.endswith(f", {photos[5]} (not an image in a known format).")
    assert sizes(result) == CUB.expected


def test_a_long_list_is_shown_in_part_and_kept_in_full(birds: Path) -> None:
    cub_tree(birds.parent.parent, train=8, test=2, images=2)
    photos = sorted(birds.rglob("*.jpg"))
    for path in photos[:13]:
        path.unlink()
    result = verify("cub", birds.parent)
    assert result.missing == [str(path) for path in photos[:13]]
    assert result.problems[-1].endswith(f"{photos[9]} and 3 more.")


def test_wrong_counts_are_problems(birds: Path) -> None:
    cub_tree(birds.parent.parent, train=3, test=1, images=2)
    result = verify("cub", birds.parent)
    assert result.problems == [
        "Expected 4 images of 2 classes in the test part, as published (got 2 of 1).",
        "The test split has one class: training and retrieval need at least two.",
    ]


def test_a_table_that_nothing_can_be_measured_on(tmp_path: Path) -> None:
    csv_tree(tmp_path, train=2, test=3, images=1)
    result = verify("csv", tmp_path)
    assert result.problems == [
        "No query of the test split has another image of its class to retrieve: its classes need "
        "at least two images each."
    ]
    with pytest.raises(ValueError, match="No query of the validation split"):
        check_findable(CSVFile(tmp_path, "test"), "validation")


def test_what_a_folder_leaves_out_is_noted(tmp_path: Path) -> None:
    folder_tree(tmp_path, classes="abcd")
    (tmp_path / "phone").mkdir()
    for name in ("1.HEIC", "2.heic", ".hidden.txt"):
        (tmp_path / "phone" / name).write_bytes(b"")
    result = verify("folder", tmp_path)
    assert not result.problems
    assert [note for note in result.notes if "(2 .heic)" in note]
    assert [note for note in result.notes if note.endswith("ignored, without an image: phone.")]


def test_an_absent_data_set_is_not_verified(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no Cars in"):
        verify(Cars, tmp_path)
    with pytest.raises(ValueError, match=r"unknown data set 'car' .*; choose from: cars, csv, c"):
        verify("car", tmp_path)
    with pytest.raises(ValueError, match=r"'cub' takes no 'seed'"):
        verify("cub", tmp_path, seed=1)


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
    assert verify("inshop", tmp_path).problems == [
        "Expected 6 images of 3 classes in the gallery part, as published (got 4 of 2).",
        f"'{table}' states 16 images in its first line but lists 14.",
        "Query classes without an image in the gallery (1), so their queries have no correct "
        "match: id_00000005.",
    ]


def test_arguments_reach_the_data_set(tmp_path: Path) -> None:
    cars_tree(tmp_path)
    folder_tree(tmp_path / "own", list("abcdef"))
    result = verify("folder", tmp_path, path="own", test_share=0.34)
    assert sizes(result) == {"train": Size(8, 4), "test": Size(4, 2)}


def test_embedded_data_is_counted(glyphs_root: Path) -> None:
    assert sizes(verify(Digits, None)) == {"train": Size(901, 5), "test": Size(896, 5)}
    result = verify("glyphs", glyphs_root)
    assert list(sizes(result)) == ["train", "test", "warm_start"]
    assert (result.problems, result.notes) == ([], [])


def test_a_table_to_test_on_can_be_verified(tmp_path: Path) -> None:
    csv_tree(tmp_path, train=0, test=2)
    result = verify("csv", tmp_path)
    assert (sizes(result), result.problems) == ({"test": Size(4, 2)}, [])
    assert result.notes[0] == (
        f"The train split of list has no readable image; check '{tmp_path}'."
    )
    csv_tree(tmp_path, train=2, test=0)
    result = verify("csv", tmp_path)
    assert sizes(result) == {"train": Size(4, 2)}
    assert result.problems == [f"The test split of list has no readable image; check '{tmp_path}'."]
    (tmp_path / "list.csv").write_text("path,label,split\n")
    with pytest.raises(ValueError, match=r"^The train split of list has no readable image; check"):
        verify("csv", tmp_path)
