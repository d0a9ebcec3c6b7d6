"""What each address answers."""

import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from gcahng.inference.embedder import load_embedder
from gcahng.inference.store import PictureStore, picture_id
from gcahng.server.finder import Finder
from tests.data.trees import photo
from tests.gcahng.inference.conftest import write_model
from tests.gcahng.server.conftest import EACH, MADE, QUOTED, client_of, draw, find_in, index


def _id(photos: Path, name: str) -> str:
    return picture_id(str(photos / name))


def test_health_describes_the_store(client: TestClient, model: Path) -> None:
    assert client.get("/health").json() == {
        "status": "ok",
        "store": "server-store",
        "pictures": MADE,
        "model": str(model),
        "most_bytes": 20 * 2**20,
        "most_pixels": 50_000_000,
        "most_results": 200,
    }


def test_labels_are_counted(client: TestClient) -> None:
    found = client.get("/labels").json()
    counts = [(one["label"], one["pictures"]) for one in found["labels"]]
    assert counts == [("bowl", EACH), (QUOTED, EACH), ("lamp", EACH)]


def test_an_upload_finds_what_the_command_line_finds(
    client: TestClient, photos: Path, model: Path, store: Path
) -> None:
    file = photos / "lamp" / "3 é.jpg"
    answer = client.post("/search?k=7", content=file.read_bytes())
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert found["query"] is None
    expected = load_embedder(model).search(PictureStore(store), file, 7)
    assert [one["id"] for one in found["neighbours"]] == [near.id for near in expected]
    first = found["neighbours"][0]
    assert first == {
        "id": _id(photos, "lamp/3 é.jpg"),
        "path": str(file),
        "label": "lamp",
        "split": None,
        "similarity": pytest.approx(1, abs=1e-5),
    }


def test_a_large_upload_is_read_as_the_index_reads_it(
    client: TestClient, model: Path, store: Path, tmp_path: Path
) -> None:
    file = tmp_path / "large.jpg"
    photo(file, 1, size=(1000, 800))
    found = client.post("/search?k=3", content=file.read_bytes()).json()["neighbours"]
    expected = load_embedder(model).search(PictureStore(store), file, 3)
    assert [one["similarity"] for one in found] == [near.similarity for near in expected]


def test_an_indexed_picture_finds_others(client: TestClient, photos: Path, store: Path) -> None:
    key = _id(photos, "bowl/4 é.png")
    found = client.get("/search", params={"id": key, "k": 5}).json()
    assert found["query"]["path"] == str(photos / "bowl" / "4 é.png")
    opened = PictureStore(store)
    (row,) = opened.rows([key], ["vector"])
    nearest = opened.search(torch.tensor(row["vector"]), 6)
    expected = [near.id for near in nearest if near.id != key]
    assert [one["id"] for one in found["neighbours"]] == expected[:5]


@pytest.mark.parametrize("label", ["bowl", QUOTED])
def test_a_label_filters(client: TestClient, photos: Path, label: str) -> None:
    key = _id(photos, "lamp/0 é.jpg")
    content = (photos / "lamp" / "0 é.jpg").read_bytes()
    for answer in (
        client.get("/search", params={"id": key, "k": 200, "label": label}),
        client.post("/search", params={"k": 200, "label": label}, content=content),
    ):
        assert [one["label"] for one in answer.json()["neighbours"]] == [label] * EACH
    started = client.get("/pictures", params={"label": label}).json()["pictures"]
    assert [one["label"] for one in started] == [label] * EACH


def test_some_pictures_are_drawn_at_random(client: TestClient) -> None:
    draws = [client.get("/pictures?k=5").json()["pictures"] for _ in range(8)]
    assert all(len({one["id"] for one in drawn}) == 5 for drawn in draws)
    assert len({one["id"] for drawn in draws for one in drawn}) > 5
    assert set(draws[0][0]) == {"id", "path", "label", "split"}
    everything = client.get("/pictures?k=200").json()["pictures"]
    assert len({one["id"] for one in everything}) == MADE


def test_thumbnails_are_small(client: TestClient, photos: Path) -> None:
    answer = client.get(f"/thumbnail/{_id(photos, 'lamp/2 é.tif')}")
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (120, 90)


def test_head_answers_without_a_body(address: str, photos: Path) -> None:
    key = _id(photos, "lamp/0 é.jpg")
    for path in ("/", "/health", "/assets/page.js", f"/picture/{key}", f"/search?id={key}"):
        answer = httpx.head(address + path)
        assert (answer.status_code, answer.content) == (200, b""), path
        assert int(answer.headers["content-length"]) > 0


def test_a_store_indexed_meanwhile_is_seen(tmp_path: Path, model: Path) -> None:
    photos, store = tmp_path / "photos", tmp_path / "store"
    draw(photos / "cup" / "1.jpg", "red")
    index(photos, model, store)
    with client_of(find_in(store)) as client:
        assert client.get("/labels").json() == {"labels": [{"label": "cup", "pictures": 1}]}
        draw(photos / "pan" / "2.jpg", "blue")
        (photos / "cup" / "1.jpg").unlink()
        index(photos, model, store)
        assert client.get("/labels").json() == {"labels": [{"label": "pan", "pictures": 1}]}
        assert client.get(f"/thumbnail/{_id(photos, 'cup/1.jpg')}").status_code == 404
        assert client.get("/health").json()["pictures"] == 1


@pytest.mark.parametrize("what", ["damaged", "made anew", "deleted"])
def test_a_store_that_cannot_be_read_any_more(what: str, tmp_path: Path, model: Path) -> None:
    photos, store, other = tmp_path / "photos", tmp_path / "store", tmp_path / "other"
    draw(photos / "cup" / "1.jpg", "red")
    index(photos, model, store)
    key, content = _id(photos, "cup/1.jpg"), (photos / "cup" / "1.jpg").read_bytes()
    paths = [f"/search?id={key}", f"/thumbnail/{key}", f"/picture/{key}", "/pictures"]
    with client_of(find_in(store)) as client:
        if what == "damaged":
            for file in store.rglob("data/*.lance"):
                file.unlink()
        else:
            shutil.rmtree(store)
        if what == "made anew":
            write_model(other, 1)
            index(photos, other, store)
        answers = [*map(client.get, [*paths, "/labels"])]
        answers += [client.post(f"/search{label}", content=content) for label in ("", "?label=cup")]
    assert [answer.status_code for answer in answers] == [503] * len(answers)
    for answer in answers:
        sentence = answer.json()["error"]
        assert sentence.startswith("the store cannot be read: ")
        assert what != "damaged" or "missing or damaged" in sentence
        assert ".rs:" not in sentence


def test_fifty_at_once(address: str, photos: Path, finder: Finder) -> None:
    files = sorted(photos.rglob("*.*"))

    def ask(number: int) -> tuple[Path, Any]:
        file = files[number % len(files)]
        content = file.read_bytes()
        return file, client.post("/search?k=1", content=content)

    limits = httpx.Limits(max_connections=50)
    with (
        httpx.Client(base_url=address, timeout=30, limits=limits) as client,
        ThreadPoolExecutor(50) as pool,
    ):
        for file, answer in pool.map(ask, range(50)):
            assert answer.status_code == 200
            assert answer.json()["neighbours"][0]["similarity"] == pytest.approx(1, abs=1e-5)
            assert answer.json()["neighbours"][0]["label"] in (file.parent.name, None)
    assert httpx.get(f"{address}/health").json()["pictures"] == MADE
