import re
from pathlib import Path

import pytest

from gcahng.data import CSVFile
from tests.data.trees import csv_tree


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
    with pytest.raises(FileNotFoundError, match=r"^Expected one \*\.csv in .*there is none"):
        CSVFile(tmp_path)
    table(tmp_path, *rows, name="one.csv")
    assert CSVFile(tmp_path).name == "one"
    other = table(tmp_path, *rows, name="two.csv")
    with pytest.raises(FileNotFoundError, match=r"\(there is one.csv, two.csv\): set 'file'"):
        CSVFile(tmp_path)
    assert CSVFile(tmp_path, file="two.csv").name == "two"
    (tmp_path / "elsewhere").mkdir()
    assert CSVFile(tmp_path / "elsewhere", file=str(other)).paths == [f"{tmp_path}/1.jpg"]
    with pytest.raises(FileNotFoundError, match=rf"There is no table '{tmp_path}/3.csv': correct"):
        CSVFile(tmp_path, file="3.csv")


def test_without_roles_each_image_queries_all_others(tmp_path: Path) -> None:
    rows = ("1.jpg,a,test,1", "2.jpg,a,test,TRUE", "3.jpg,b,train,")
    assert queries(tmp_path, "path,label,split", "1.jpg,a,test", "2.jpg,a,test") is None
    assert queries(tmp_path, "path,label,split,is_query", *rows) is None


def test_queries_are_told_from_the_gallery(tmp_path: Path) -> None:
    csv_tree(tmp_path, images=3, roles=True)
    dataset = CSVFile(tmp_path, "test")
    assert dataset.is_query is not None
    assert dataset.is_query.tolist() == [True, False, False] * 2
    assert CSVFile(tmp_path).is_query is None
    rows = ("1.jpg,a,test,Yes", "2.jpg,a,test,", "3.jpg,a,test,0.0", "4.jpg,b,train,")
    assert queries(tmp_path, "path,label,split,is_query", *rows) == [True, False, False]
    assert queries(tmp_path, "path,label,split,is_gallery", *rows) == [False, True, True]


MISTAKES = [
    (["path,labels,split", "1.jpg,a,test"], r":1: .*'label' .did you mean 'labels'\?"),
    ([], ":1: there is no column 'path'"),
    (["path,label,split", "", "1.jpg,a,val"], ":3: unknown split 'val': choose one of train, test"),
    (["path,label,split", "1.jpg, ,test"], ":2: the label is empty"),
    (["path,split,label", "1.jpg,test,Doe, Jane"], ":2: the line has more cells .* in quotes"),
    (["path,label,split,is_query", "1.jpg,a,test,maybe"], ":2: is_query is 'maybe'"),
    (
        ["path,label,split", "1.jpg,a,test", "2.jpg,a,train", "./1.jpg,b,test"],
        ":4: '.*/1.jpg' is already listed at .*:2",
    ),
    (["path,label,split", "0.jpg,a,test", '"1.jpg,a,test', "2.jpg,a,test"], ":4: .* the quotes"),
    (
        ["path,label,split,is_query,is_gallery", "1.jpg,a,test,1,0", "3.jpg,a,test,1,1"],
        ":3: write true in one of is_query and is_gallery",
    ),
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


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_that_of_the_header(tmp_path: Path, separator: str) -> None:
    text = "\ufeffpath,label,split\n1.jpg,cat,train".replace(",", separator)
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    dataset = CSVFile(tmp_path)
    assert (dataset.classes, dataset.paths) == (["cat"], [f"{tmp_path}/1.jpg"])
