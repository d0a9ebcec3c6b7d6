import os
import re
import unicodedata
from pathlib import Path

import pytest

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


def refused(folder: Path, *lines: str, split: str = "test") -> str:
    """The error message, without the table's folder."""
    path = table(folder, *lines)
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        CSVFile(folder, split)
    return str(caught.value).replace(str(path), "list.csv").replace(str(folder), "")


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


def test_roles_may_be_written_as_numbers_with_a_point(tmp_path: Path) -> None:
    rows = ("1.jpg,a,test,1.0", "2.jpg,a,test,0.0", "3.jpg,b,train,")
    assert queries(tmp_path, "path,label,split,is_query", *rows) == [True, False]


@pytest.mark.parametrize(("role", "expected"), [("is_query", True), ("is_gallery", False)])
def test_one_role_alone_gives_the_other(tmp_path: Path, role: str, expected: bool) -> None:
    rows = ("1.jpg,a,test,Yes", "2.jpg,a,test,", "3.jpg,a,test,no", "4.jpg,b,train,")
    found = queries(tmp_path, f"path,label,split,{role}", *rows)
    assert found == [expected, not expected, not expected]


HEADER = "path,label,split,is_query,is_gallery"


@pytest.mark.parametrize(
    ("last", "fault"), [("1,1", "both query and gallery"), ("0,", "neither query nor gallery")]
)
def test_mixed_roles_are_refused(tmp_path: Path, last: str, fault: str) -> None:
    rows = ("1.jpg,a,test,1,0", "2.jpg,a,test,0,1", f"3.jpg,a,test,{last}")
    assert refused(tmp_path, HEADER, *rows) == (
        f"list.csv:4: the row is {fault}, unlike other test rows; make every test row exactly one "
        "of the two, or all test rows both."
    )


@pytest.mark.parametrize(("value", "what"), [("1", "queries"), ("", "in the gallery")])
def test_one_role_for_all_is_refused(tmp_path: Path, value: str, what: str) -> None:
    rows = ("0.jpg,a,train,", f"1.jpg,a,test,{value}", f"2.jpg,a,test,{value}")
    assert refused(tmp_path, "path,label,split,is_query", *rows) == (
        f"list.csv:3: all test rows are {what}, but retrieval needs both; correct "
        "is_query or is_gallery."
    )


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            ["path,labels,split", "1.jpg,a,test"],
            "list.csv:1: there is no column 'label' among path, labels, split (did you mean "
            "labels?); the first line must name path, label, split, separated by commas.",
        ),
        (
            ["path;label;split"],
            "list.csv:1: there is no column 'path' among path;label;split; the first line must "
            "name path, label, split, separated by commas.",
        ),
        (
            [],
            "list.csv:1: there is no column 'path' among none; the first line must name path, "
            "label, split, separated by commas.",
        ),
        (
            ["path,label,split", "", "1.jpg,a,val"],
            "list.csv:3: unknown split 'val': choose one of train, test (validation classes are "
            "taken from train, see data.validation).",
        ),
        (
            ["path,label,split", "1.jpg, ,test"],
            "list.csv:2: the label is empty; fill it in or remove the line.",
        ),
        (
            ["path,label,split", "1.jpg"],
            "list.csv:2: the label is empty; fill it in or remove the line.",
        ),
        (
            ["path,split,label", "1.jpg,test,Doe, Jane"],
            "list.csv:2: the line has cells beyond the 3 columns of the header ('Jane'); put cells "
            "that contain the separator in quotes.",
        ),
        (
            ["path,label,split", ",,,x"],
            "list.csv:2: the line has cells beyond the 3 columns of the header ('x'); put cells "
            "that contain the separator in quotes.",
        ),
        (
            ["path,label,split,Label", "1.jpg,a,test,b"],
            "list.csv:1: two columns are called 'label'; rename or remove one.",
        ),
        (
            ["sep=;", "path;label", "1.jpg;a"],
            "list.csv:2: there is no column 'split' among path, label; the first line must name "
            "path, label, split, separated by commas.",
        ),
        (
            ["sep=;", "path;label;split", "1.jpg;a;test", "2.jpg;;test"],
            "list.csv:4: the label is empty; fill it in or remove the line.",
        ),
        (
            ["path,label,split,is_query", "1.jpg,a,test,maybe"],
            "list.csv:2: is_query is 'maybe': write true or false.",
        ),
        (
            ["path,label,split", "1.jpg,a,test", "2.jpg,a,train", "./1.jpg,b,test"],
            "list.csv:4: '/1.jpg' is already listed at list.csv:2; remove one.",
        ),
        (
            ["path,label,split", "0.jpg,a,test", '"1.jpg,a,test', "2.jpg,a,test"],
            "list.csv:3: the line cannot be parsed (unexpected end of data); correct its quotes.",
        ),
        (
            ["path,label,split", '"1.jpg"x,a,test'],
            "list.csv:2: the line cannot be parsed (',' expected after '\"'); correct its quotes.",
        ),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, lines: list[str], sentence: str) -> None:
    assert refused(tmp_path, *lines) == sentence


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,split", "1.jpg,ä,train", encoding="latin-1")
    message = f"'{path}' is not in UTF-8: save it in that encoding."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CSVFile(tmp_path)


def test_a_nul_character_is_named(tmp_path: Path) -> None:
    for line in ("a\0.jpg,x,test", "a.jpg,x\0,test"):
        with pytest.raises(ValueError, match=r"list.csv:2: the .* NUL"):
            CSVFile(table(tmp_path, "path,label,split", line), "test")


@pytest.mark.parametrize("first", ["sep=,", '"sep=,"', "\ufeffsep=,\r", "sep=;", "sep=\t"])
def test_the_separator_may_be_named_in_the_first_line(tmp_path: Path, first: str) -> None:
    separator = first.strip('\ufeff"\r')[-1]
    lines = (line.replace(",", separator) for line in ("path,label,split", "1.jpg,cat,train"))
    table(tmp_path, first, *lines)
    dataset = CSVFile(tmp_path)
    assert (dataset.classes, dataset.paths) == (["cat"], [f"{tmp_path}/1.jpg"])
    assert dataset.sources == [f"{tmp_path}/list.csv:3"]


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_accents_may_be_written_otherwise_than_in_the_file_name(
    tmp_path: Path, written: str, stored: str
) -> None:
    folder, file = unicodedata.normalize(stored, "été"), unicodedata.normalize(stored, "Zoë 1.png")
    photo(tmp_path / folder / file, 1)
    table(tmp_path, "path,label,split", unicodedata.normalize(written, "été/Zoë 1.png,a,train"))
    dataset = CSVFile(tmp_path)
    assert dataset.paths == [f"{tmp_path}/{folder}/{file}"]
    assert dataset.load(0).size == (40, 32)
    # A file that is not there keeps the path of the table.
    table(tmp_path, "path,label,split", "été/no.png,a,train")
    assert CSVFile(tmp_path).paths == [f"{tmp_path}/{folder}/no.png"]


def test_a_folder_that_cannot_be_read_is_no_folder_without_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "listdir", forbid)
    monkeypatch.setattr(os, "scandir", forbid)
    with pytest.raises(PermissionError):
        CSVFile(tmp_path)
