import re
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from gcahng.data import CSVFile
from tests.data.trees import csv_tree, photo


def table(folder: Path, *lines: str, name: str = "list.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def queries(folder: Path, *lines: str) -> list[bool] | None:
    table(folder, *lines)
    is_query = CSVFile(folder, "test").is_query
    return None if is_query is None else is_query.tolist()


def test_rows_are_the_images_of_the_splits(tmp_path: Path) -> None:
    csv_tree(tmp_path, train=2, test=3, images=2)
    train, test = CSVFile(tmp_path), CSVFile(tmp_path, "test")
    assert train.classes == ["class 0", "class 1"]
    assert train.labels.tolist() == [0, 0, 1, 1]
    assert (test.num_classes, len(test), test.is_query) == (3, 6, None)
    assert train.paths[1] == f"{tmp_path}/photos/0_1.png"
    assert train.load(1).size == (40, 32)
    assert train.name == "list"


def test_how_a_table_may_be_written(tmp_path: Path) -> None:
    table(
        tmp_path,
        '\ufeffPATH, Split ,"label",remark',
        "",
        'p/1.jpg ,Train,"a, b",x',
        " , , , ",
        f"{tmp_path}/2.jpg,TRAIN,ä,x",
        "3.jpg,train,7,x, ,",
        "1.jpg,test,7",
    )
    dataset = CSVFile(tmp_path)
    assert dataset.paths == [f"{tmp_path}/{path}" for path in ("p/1.jpg", "2.jpg", "3.jpg")]
    assert dataset.classes == ["7", "a, b", "ä"]


def test_the_table_is_named_or_the_only_one(tmp_path: Path) -> None:
    rows = ("path,label,split", "1.jpg,a,train")
    with pytest.raises(FileNotFoundError, match=rf"^There is no \*\.csv in '{tmp_path}': add one"):
        CSVFile(tmp_path)
    table(tmp_path, *rows, name="one.csv")
    assert CSVFile(tmp_path).name == "one"
    other = table(tmp_path, *rows, name="two.csv")
    with pytest.raises(ValueError, match=r"has several tables \(one.csv, two.csv\): set 'file'"):
        CSVFile(tmp_path)
    assert CSVFile(tmp_path, file="two.csv").name == "two"
    (tmp_path / "elsewhere").mkdir()
    assert CSVFile(tmp_path / "elsewhere", file=str(other)).paths == [f"{tmp_path}/1.jpg"]
    with pytest.raises(FileNotFoundError, match=rf"There is no table '{tmp_path}/3.csv': correct"):
        CSVFile(tmp_path, file="3.csv")


def test_a_table_from_windows_and_its_own_path_as_root(tmp_path: Path) -> None:
    photo(tmp_path / "im" / "0.jpg", 0)
    path = table(tmp_path, "path,label,split", "im\\0.jpg,a,train")
    dataset = CSVFile(path)
    assert dataset.paths == [str(tmp_path / "im" / "0.jpg")]
    assert dataset.load(0).mode == "RGB"


def test_without_roles_each_image_queries_all_others(tmp_path: Path) -> None:
    rows = ("1.jpg,a,test,1,yes", "2.jpg,a,test,TRUE,Yes", "3.jpg,b,train,,")
    assert queries(tmp_path, "path,label,split", "1.jpg,a,test", "2.jpg,a,test") is None
    assert queries(tmp_path, "path,label,split,is_query,is_gallery", *rows) is None


def test_both_roles_tell_queries_from_the_gallery(tmp_path: Path) -> None:
    csv_tree(tmp_path, images=3, roles=("is_query", "is_gallery"))
    dataset = CSVFile(tmp_path, "test")
    assert dataset.is_query is not None
    assert dataset.is_query.tolist() == [True, False, False] * 2
    assert CSVFile(tmp_path).is_query is None


@pytest.mark.parametrize(("role", "expected"), [("is_query", True), ("is_gallery", False)])
def test_one_role_alone_gives_the_other(tmp_path: Path, role: str, expected: bool) -> None:
    rows = ("1.jpg,a,test,Yes", "2.jpg,a,test,", "3.jpg,a,test,0.0", "4.jpg,b,train,")
    found = queries(tmp_path, f"path,label,split,{role}", *rows)
    assert found == [expected, not expected, not expected]


HEADER = "path,label,split,is_query,is_gallery"
MISTAKES = [
    (["path,labels,split", "1.jpg,a,test"], r":1: .*'label' .*did you mean labels\?"),
    ([], ":1: there is no column 'path'"),
    (["sep=;", "path;label", "1.jpg;a"], ":2: there is no column 'split'"),
    (["path,label,split,Label", "1.jpg,a,test,b"], ":1: two columns are called 'label'"),
    (["path,label,split", "", "1.jpg,a,val"], ":3: unknown split 'val': choose one of train, test"),
    (["path,label,split", "1.jpg, ,test"], ":2: the label is empty"),
    (["path,label,split", "1.jpg"], ":2: the label is empty"),
    (["sep=;", "path;label;split", "1.jpg;a;test", "2.jpg;;test"], ":4: the label is empty"),
    (["path,split,label", "1.jpg,test,Doe, Jane"], ":2: the line has more cells .* in quotes"),
    (["path,label,split", ",,,x"], ":2: the line has more cells"),
    (["path,label,split,is_query", "1.jpg,a,test,maybe"], ":2: is_query is 'maybe'"),
    (
        ["path,label,split", "1.jpg,a,test", "2.jpg,a,train", "./1.jpg,b,test"],
        ":4: '.*/1.jpg' is already listed at .*:2; remove one",
    ),
    (["path,label,split", "0.jpg,a,test", '"1.jpg,a,test', "2.jpg,a,test"], ":3: .* the quotes"),
    (["path,label,split", '"1.jpg"x,a,test'], ":2: .* the quotes"),
    ([HEADER, "1.jpg,a,test,1,0", "3.jpg,a,test,1,1"], ":3: .* both query and gallery"),
    ([HEADER, "1.jpg,a,test,1,0", "3.jpg,a,test,0,"], ":3: .* neither query nor gallery"),
]


@pytest.mark.parametrize(("lines", "sentence"), MISTAKES)
def test_wrong_lines_are_named(tmp_path: Path, lines: list[str], sentence: str) -> None:
    path = table(tmp_path, *lines)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}{sentence}"):
        CSVFile(tmp_path, "test")


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,split", "1.jpg,ä,train", encoding="latin-1")
    message = f"'{path}' is not in UTF-8: save it in that encoding."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CSVFile(tmp_path)


@pytest.mark.parametrize("first", ["sep=,\n", '"sep=;"\r\n', "\ufeffsep=;\n", "", "\ufeff"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_that_of_the_header(tmp_path: Path, first: str, separator: str) -> None:
    text = first + "path,label,split\n1.jpg,cat,train".replace(",", separator)
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    dataset = CSVFile(tmp_path)
    assert (dataset.classes, dataset.paths) == (["cat"], [f"{tmp_path}/1.jpg"])
    assert dataset.sources == [f"{tmp_path}/list.csv:{3 if 'sep' in first else 2}"]


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_accents_may_be_written_otherwise_than_in_the_file_name(
    tmp_path: Path, written: str, stored: str
) -> None:
    name = unicodedata.normalize(stored, "été/Zoë 1.png")
    photo(tmp_path / name, 1)
    table(tmp_path, "path,label,split", unicodedata.normalize(written, "été/Zoë 1.png,a,train"))
    dataset = CSVFile(tmp_path)
    assert dataset.paths == [f"{tmp_path}/{name}"]
    assert dataset.load(0).size == (40, 32)


BOXED = "path,label,split,x_1,x_2,y_1,y_2"


def test_images_are_cut_to_their_boxes_when_asked(tmp_path: Path) -> None:
    """Boxes are in pixels of the whole upright image."""
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(tmp_path / "1.jpg", 1, size=(400, 320), exif=exif)
    photo(tmp_path / "2.png", 2)
    table(tmp_path, BOXED, "1.jpg,a,train,50,250,30.0,200", "2.png,b,train,,,,")
    whole, cut = CSVFile(tmp_path), CSVFile(tmp_path, crop=True)
    assert [whole.load(i).size for i in range(2)] == [(320, 400), (40, 32)]
    assert [cut.load(i).size for i in range(2)] == [(200, 170), (40, 32)]
    assert cut.load(0).tobytes() == whole.load(0).crop((50, 30, 250, 200)).tobytes()
    assert cut.load_reduced(0, shortest=50).tobytes() == cut.load(0).tobytes()


def test_one_file_may_have_several_boxes(tmp_path: Path) -> None:
    rows = ("1.jpg,a,train,0,5,0,5", "1.jpg,b,train,5,9,0,5")
    path = table(tmp_path, BOXED, *rows)
    assert CSVFile(tmp_path, crop=True).classes == ["a", "b"]
    for lines, crop in ((rows, False), ((rows[0], rows[0]), True)):
        table(tmp_path, BOXED, *lines)
        with pytest.raises(ValueError, match=rf"^{path}:3: .* is already listed at {path}:2"):
            CSVFile(tmp_path, crop=crop)


@pytest.mark.parametrize("cells", ["5,5,0,1", "-1,2,0,1", "a,2,0,1", ",2,0,1", "nan,2,0,1"])
def test_a_box_that_is_none_is_refused(tmp_path: Path, cells: str) -> None:
    path = table(tmp_path, BOXED, f"1.jpg,a,train,{cells}")
    with pytest.raises(ValueError, match=f"^{path}:2: x_1, y_1, x_2, y_2 are '"):
        CSVFile(tmp_path, crop=True)


def test_a_box_beyond_its_picture_is_refused_or_skipped(tmp_path: Path) -> None:
    photo(tmp_path / "1.png", 1)
    photo(tmp_path / "2.png", 2)
    path = table(tmp_path, BOXED, "1.png,a,train,0,41,0,5", "2.png,a,train,0,40,0,32")
    with pytest.raises(ValueError, match=f"^{path}:2: the box 0, 0, 41, 5 reaches beyond the 40 ×"):
        CSVFile(tmp_path, crop=True).load(0)
    with pytest.warns(UserWarning, match=r"Skipped 1 of 2 .*1.png' \(the box 0, 0, 41, 5 reaches"):
        dataset = CSVFile(tmp_path, crop=True, unreadable="skip")
    assert (len(dataset), dataset.load(0).size) == (1, (40, 32))


def test_boxes_need_their_columns(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,split,x_1", "1.jpg,a,train,0")
    assert CSVFile(tmp_path).notes == (f"Columns of '{path}' that are not used: x_1.",)
    with pytest.raises(ValueError, match=f"^{path}:1: there is no column 'y_1'"):
        CSVFile(tmp_path, crop=True)
