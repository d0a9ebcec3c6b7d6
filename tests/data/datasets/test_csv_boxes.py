"""Columns of a CSV table that give the box of each image."""

import re
from pathlib import Path

import pytest
from PIL import Image

from gcahng.data import CSVFile
from tests.data.trees import photo

BOXED = "path,label,split,x_1,x_2,y_1,y_2"


def table(folder: Path, *lines: str) -> Path:
    path = folder / "list.csv"
    path.write_text("\n".join(lines))
    return path


def test_images_are_cut_to_their_boxes_when_asked(tmp_path: Path) -> None:
    photo(tmp_path / "1.png", 1)
    photo(tmp_path / "2.png", 2)
    table(tmp_path, BOXED, "1.png,a,train,5,25,3.0,20", "2.png,b,train,,,,")
    whole, cut = CSVFile(tmp_path), CSVFile(tmp_path, crop=True)
    assert [whole.load(i).size for i in range(2)] == [(40, 32), (40, 32)]
    assert [cut.load(i).size for i in range(2)] == [(20, 17), (40, 32)]
    assert cut.load(0).tobytes() == whole.load(0).crop((5, 3, 25, 20)).tobytes()


def test_boxes_are_in_pixels_of_the_whole_image(tmp_path: Path) -> None:
    photo(tmp_path / "1.jpg", 1, size=(400, 320))
    table(tmp_path, BOXED, "1.jpg,a,train,50,250,30,200", "1.jpg,b,train,0,9,0,9")
    cut = CSVFile(tmp_path, crop=True)
    assert cut.load_reduced(0, shortest=50).tobytes() == cut.load(0).tobytes()


def test_boxes_are_those_of_the_upright_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(tmp_path / "1.jpg", 1, exif=exif)
    table(tmp_path, BOXED, "1.jpg,a,train,0,32,0,40")
    assert CSVFile(tmp_path, crop=True).load(0).size == (32, 40)


def test_one_file_may_have_several_boxes(tmp_path: Path) -> None:
    rows = ("1.jpg,a,train,0,5,0,5", "1.jpg,b,train,5,9,0,5")
    path = table(tmp_path, BOXED, *rows)
    assert CSVFile(tmp_path, crop=True).classes == ["a", "b"]
    message = (
        f"{path}:3: '{tmp_path}/1.jpg' is already listed at {path}:2; remove one, or set crop=true "
        "to use their boxes."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CSVFile(tmp_path)
    path = table(tmp_path, BOXED, rows[0], rows[0])
    with pytest.raises(ValueError, match=rf"^{path}:3: .* is already listed at {path}:2; remove o"):
        CSVFile(tmp_path, crop=True)


@pytest.mark.parametrize(
    "cells", ["5,5,0,1", "0,1,2,1", "-1,2,0,1", "a,2,0,1", ",2,0,1", "nan,2,0,1"]
)
def test_a_box_that_is_none_is_refused(tmp_path: Path, cells: str) -> None:
    path = table(tmp_path, BOXED, f"1.jpg,a,train,{cells}")
    x_1, x_2, y_1, y_2 = cells.split(",")
    message = (
        f"{path}:2: x_1, y_1, x_2, y_2 are '{x_1}, {y_1}, {x_2}, {y_2}': expected four numbers of "
        "pixels with 0 ≤ x_1 < x_2 and 0 ≤ y_1 < y_2, or four empty cells for the whole image."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CSVFile(tmp_path, crop=True)


def test_a_box_beyond_its_picture_is_refused_or_skipped(tmp_path: Path) -> None:
    photo(tmp_path / "1.png", 1)
    photo(tmp_path / "2.png", 2)
    path = table(tmp_path, BOXED, "1.png,a,train,0,41,0,5", "2.png,a,train,0,40,0,32")
    message = f"{path}:2: the box 0, 0, 41, 5 reaches beyond the 40 × 32 pixels of its image."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CSVFile(tmp_path, crop=True).load(0)
    with pytest.warns(UserWarning, match=r"Skipped 1 of 2 .*1.png' \(the box 0, 0, 41, 5 reaches"):
        dataset = CSVFile(tmp_path, crop=True, unreadable="skip")
    assert (len(dataset), dataset.load(0).size) == (1, (40, 32))


def test_boxes_need_their_columns(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,split,x_1", "1.jpg,a,train,0")
    message = f"{path}:1: there is no column 'y_1', and crop=true needs x_1, y_1, x_2, y_2."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CSVFile(tmp_path, crop=True)
