"""What `verify` says about files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gcahng.data import CUB, Size, verify
from tests.data.trees import csv_tree, cub_tree, folder_tree, photo


def test_turned_pictures_are_a_note(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    folder_tree(tmp_path)
    photo(tmp_path / "a" / "0.jpg", 1, exif=exif)
    exif[0x0112] = 1
    photo(tmp_path / "b" / "0.jpg", 1, exif=exif)
    result = verify("folder", tmp_path)
    assert result.turned == [f"{tmp_path}/a/0.jpg"]
    assert result.problems == []
    assert result.notes == [
        "Files with an EXIF orientation (1), rotated upright here but, except TIFF, not by the "
        "published loader: "
        f"{tmp_path}/a/0.jpg."
    ]


def test_one_picture_in_two_splits_names_both_lines(tmp_path: Path) -> None:
    csv_tree(tmp_path, train=2, test=2, images=2)
    table = tmp_path / "list.csv"
    copy = tmp_path / "photos" / "copy.png"
    copy.write_bytes((tmp_path / "photos" / "1_0.png").read_bytes())
    with table.open("a") as file:
        file.write("photos/0_0.png,class 2,test,\nphotos/copy.png,class 3,test,\n")
    result = verify("csv", tmp_path)
    assert result.problems == [
        "Pictures in two splits, which must share none (2): "
        f"{table}:2 (train, 'class 0') and {table}:10 (test, 'class 2'), "
        f"{table}:4 (train, 'class 1') and {table}:11 (test, 'class 3')."
    ]


def test_one_picture_with_two_labels_is_a_note(tmp_path: Path) -> None:
    folder_tree(tmp_path / "train", "ab")
    folder_tree(tmp_path / "test", "cd")
    first, second = tmp_path / "train" / "a" / "1.jpg", tmp_path / "train" / "b" / "1.jpg"
    second.write_bytes(first.read_bytes())
    (tmp_path / "train" / "a" / "again.jpg").write_bytes(first.read_bytes())
    result = verify("folder", tmp_path)
    assert (result.problems, result.notes) == (
        [],
        [f"Pictures with two labels (1): {first} (train, 'a') and {second} (train, 'b')."],
    )


def test_boxes_that_do_not_fit_are_a_problem(tmp_path: Path) -> None:
    csv_tree(tmp_path)
    lines = (tmp_path / "list.csv").read_text().replace("remark", "x_1,y_1,x_2,y_2").splitlines()
    lines[3:] = [
        f"{line}0,0,40,32" if n else f"{line}0,0,40,33" for n, line in enumerate(lines[3:])
    ]
    lines[1:3] = [f"{line},," for line in lines[1:3]]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    unused = verify("csv", tmp_path)
    assert unused.problems == []
    assert unused.notes == [
        f"Columns of '{tmp_path}/list.csv' that are not used: x_1, y_1, x_2, y_2. To cut each "
        "image to its box (x_1, y_1, x_2, y_2), set crop=true (in an experiment: "
        "data.args.crop=true)."
    ]
    result = verify("csv", tmp_path, crop=True)
    assert (result.notes, result.problems) == (
        [],
        [
            f"Boxes that do not fit (1): {tmp_path}/list.csv:4: the box 0, 0, 40, 33 reaches "
            "beyond the 40 × 32 pixels of its image."
        ],
    )


def test_dark_pictures_are_a_note(tmp_path: Path) -> None:
    folder_tree(tmp_path)
    path = tmp_path / "a" / "deep.png"
    Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(path)
    result = verify("folder", tmp_path)
    assert (result.problems, result.dark) == ([], [str(path)])
    assert result.notes == [
        "Files that are black or nearly so (1); those with 8 to 12 bits of grey in a file of 16 or "
        f"32 bits must be scaled to its full range: {path}."
    ]


def test_pictures_shared_by_published_splits_are_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CUB, "expected", {"train": Size(6, 3), "test": Size(4, 2)})
    birds = cub_tree(tmp_path, train=3, test=2, images=2) / "images"
    photos = sorted(birds.rglob("*.jpg"))
    photos[-1].write_bytes(photos[0].read_bytes())
    result = verify("cub", birds.parent)
    assert result.problems == []
    assert result.notes == [
        "Pictures in two splits, which must share none (1): "
        f"{photos[0]} (train, '098.Bird_of_98') and {photos[-1]} (test, '102.Bird_of_102')."
    ]
