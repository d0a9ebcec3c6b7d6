"""The indexed files, by id."""

import io
import os
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image
from starlette.testclient import TestClient

from gcahng.inference.store import picture_id
from gcahng.server.finder import Limits
from tests.gcahng.server.conftest import client_of, draw, find_in, index


@pytest.mark.parametrize(("name", "kind"), [("0 é.jpg", "image/jpeg"), ("1 é.png", "image/png")])
def test_what_browsers_show_is_sent_as_it_is(
    client: TestClient, photos: Path, name: str, kind: str
) -> None:
    file = photos / "lamp" / name
    answer = client.get(f"/picture/{picture_id(str(file))}")
    assert answer.content == file.read_bytes()
    assert answer.headers["content-type"] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == f"inline; filename*=utf-8''{quote(name)}"


def test_other_formats_become_jpeg(client: TestClient, photos: Path) -> None:
    answer = client.get(f"/picture/{picture_id(str(photos / 'lamp' / '2 é.tif'))}")
    assert answer.headers["content-type"] == "image/jpeg"
    shown = Image.open(io.BytesIO(answer.content))
    assert (shown.format, shown.size) == ("JPEG", (120, 90))


def test_the_content_decides_not_the_name(tmp_path: Path, model: Path) -> None:
    photos = tmp_path / "photos"
    draw(photos / "page.png", "red")
    (photos / "page.png").rename(photos / "page.jpg")
    index(photos, model, tmp_path / "store")
    with client_of(find_in(tmp_path / "store")) as client:
        answer = client.get(f"/picture/{picture_id(str(photos / 'page.jpg'))}")
    assert answer.headers["content-type"] == "image/png"


def test_a_changed_file_is_not_sent(tmp_path: Path, model: Path) -> None:
    photos, store = tmp_path / "photos", tmp_path / "store"
    files = [photos / f"{name}.jpg" for name in ("newer", "longer", "gone", "folder", "pipe")]
    for file in files:
        draw(file, "red")
    index(photos, model, store)
    newer, longer, gone, folder, pipe = files
    os.utime(newer, ns=(0, 1))
    status = longer.stat()
    longer.write_bytes(longer.read_bytes() + b"secret")
    os.utime(longer, ns=(status.st_atime_ns, status.st_mtime_ns))
    for file in (gone, folder, pipe):
        file.unlink()
    folder.mkdir()
    os.mkfifo(pipe)
    with client_of(find_in(store)) as client:
        for file in files:
            answer = client.get(f"/picture/{picture_id(str(file))}")
            what = "is not there any more" if file == gone else "has changed since it was indexed"
            assert answer.status_code == 410
            assert answer.json() == {"error": f"{file.name} {what}"}


def test_large_pictures_are_not_converted(store: Path, photos: Path) -> None:
    key = picture_id(str(photos / "lamp" / "2 é.tif"))
    with client_of(find_in(store, Limits(most_pixels=10_000))) as client:
        answer = client.get(f"/picture/{key}")
    assert answer.status_code == 422
    sentence = "2 é.tif cannot be shown: 120 × 90 pixels, more than 10,000"
    assert answer.json() == {"error": sentence}
