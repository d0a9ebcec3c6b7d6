import re
import sys
from pathlib import Path

import lancedb
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F

from gcahng.inference.store import (
    FILE_COLUMNS,
    TABLE,
    EmbeddedPicture,
    PictureStore,
    StoreModel,
    file_of,
    picture_id,
)
from gcahng.pictures import FileState, PictureFile
from gcahng.reasons import install_extra

DIM, COUNT = 8, 200
MODEL = StoreModel("runs/photos", "abc", DIM)
LABELS = ("cup", "children's cup", None)


@pytest.fixture(scope="module")
def vectors() -> torch.Tensor:
    return F.normalize(torch.randn(COUNT, DIM, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, vectors: torch.Tensor) -> PictureStore:
    store = PictureStore.create(tmp_path_factory.mktemp("stores") / "store", MODEL)
    store.write([_picture(i, vector) for i, vector in enumerate(vectors)])
    return store


def _picture(number: int, vector: torch.Tensor) -> EmbeddedPicture:
    split = "train" if number % 2 else "test"
    file = PictureFile(f"/photos/{number}.jpg", LABELS[number % 3], split)
    return EmbeddedPicture(file, FileState(number, 10**18 + number), vector, b"small")


@pytest.mark.parametrize("k", [1, 7, COUNT + 5])
def test_finds_what_a_loop_finds(k: int, store: PictureStore, vectors: torch.Tensor) -> None:
    query = torch.randn(DIM, generator=torch.Generator().manual_seed(1))
    expected = F.normalize(query, dim=0) @ vectors.T
    order = expected.argsort(descending=True)[:k]
    found = store.search(query, k)
    assert [near.path for near in found] == [f"/photos/{i}.jpg" for i in order.tolist()]
    measured = torch.tensor([near.similarity for near in found])
    torch.testing.assert_close(measured, expected[order], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("label = 'cup'", 67),
        ("label = 'children''s cup'", 67),
        ("label IS NULL", 66),
        ("split = 'train' AND size >= 100", 50),
        ("path LIKE '/photos/1%.jpg'", 111),
    ],
)
def test_conditions_hold_before_the_search(where: str, count: int, store: PictureStore) -> None:
    assert store.count(where) == count
    assert len(store.search(torch.ones(DIM), COUNT, where=where)) == count


@pytest.mark.parametrize(
    "where",
    [
        *("lbel = 'cup'", "label = 'cup", "1 +", "size = 'abc'", "label = cup", ""),
        "label = 'cup'; drop table pictures",
    ],
)
def test_a_wrong_condition_is_one_sentence(where: str, store: PictureStore) -> None:
    for ask in (store.count, lambda text: store.search(torch.ones(DIM), where=text)):
        with pytest.raises(ValueError, match="is not a condition on path, label, split") as caught:
            ask(where)
        assert "\n" not in str(caught.value)


def test_rows_come_back_by_id(store: PictureStore, vectors: torch.Tensor) -> None:
    key = picture_id("/photos/4.jpg")
    (row,) = store.rows([key], [*FILE_COLUMNS, "vector", "thumbnail"])
    assert row["vector"] == pytest.approx(vectors[4].tolist())
    assert row["thumbnail"] == b"small"
    file = PictureFile("/photos/4.jpg", "children's cup", "test")
    assert file_of(row) == (file, FileState(4, 10**18 + 4))
    assert store.rows(["0", "' OR 1 = 1 --", ""], ["id"]) == store.rows([], ["id"]) == []


def test_writing_a_path_again_replaces_its_row(tmp_path: Path, vectors: torch.Tensor) -> None:
    store = PictureStore.create(tmp_path / "store", MODEL)
    for vector in vectors[:2]:
        store.write([_picture(0, vector)])
    assert len(store) == 1
    (row,) = store.rows([picture_id("/photos/0.jpg")], ["vector"])
    assert row["vector"] == pytest.approx(vectors[1].tolist())
    store.delete(["/photos/0.jpg", "/photos/nowhere.jpg"])
    store.delete([])
    assert len(store) == 0


def test_a_table_of_another_program_is_left_alone(tmp_path: Path) -> None:
    lancedb.connect(tmp_path).create_table(TABLE, [{"a": 1}])
    with pytest.raises(ValueError, match="holds a table of another program"):
        PictureStore.create(tmp_path, MODEL)


def test_without_lancedb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(ImportError, match=re.escape(install_extra("search"))):
        PictureStore.create(tmp_path / "store", MODEL)


@pytest.mark.parametrize("left", [None, 100])
def test_missing_and_damaged_files_are_told_from_a_wrong_condition(
    tmp_path: Path, vectors: torch.Tensor, left: int | None
) -> None:
    store = PictureStore.create(tmp_path / "store", MODEL)
    store.write([_picture(i, vector) for i, vector in enumerate(vectors[:3])])
    for file in tmp_path.rglob("data/*.lance"):
        file.unlink() if left is None else file.write_bytes(file.read_bytes()[:left])
    where = "label = 'x'"
    for read in (
        store.labels,
        store.files,
        lambda: store.sample(2),
        lambda: store.count(where),
        lambda: store.rows([picture_id("/photos/0.jpg")], ["thumbnail"]),
        lambda: PictureStore(tmp_path / "store").search(vectors[0], where=where),
    ):
        with pytest.raises(OSError, match=r"store' cannot be read.*missing or dam"):
            read()


@pytest.mark.parametrize("about", [b"1", b"{", b'{"dim": 3}', b'{"a": 1}'])
def test_a_store_of_another_version(tmp_path: Path, about: bytes) -> None:
    table = pa.schema([("id", pa.string())], metadata={b"gcahng": about})
    lancedb.connect(tmp_path).create_table(TABLE, schema=table)
    with pytest.raises(ValueError, match="was made by another version of gcahng"):
        PictureStore(tmp_path)
