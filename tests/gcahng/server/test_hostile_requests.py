"""Requests that must be refused: the right status, one sentence, and the server goes on."""

import io
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from gcahng.server import app
from gcahng.server.app import HOW
from gcahng.server.finder import Limits
from tests.gcahng.server.conftest import client_of, find_in

UNKNOWN = "0" * 32


def refused(answer: Any, status: int, sentence: str) -> None:
    assert (answer.status_code, answer.json()) == (status, {"error": sentence})
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_only_ids_of_the_store(client: TestClient) -> None:
    for key in ("%2e%2e%2fetc%2fpasswd", "0" * 31, "0" * 33, UNKNOWN, "' OR 1=1 --", "A" * 32):
        for where in ("thumbnail", "picture"):
            answer = client.get(f"/{where}/{key}")
            assert answer.status_code == 404
            assert set(answer.json()) == {"error"}


def _ask(address: str, request: str) -> bytes:
    """Send a request straight to the server, without a client that mends it; the answer."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = f"{request.replace(chr(10), chr(13) + chr(10))}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "name", ["../app.py", "..%2fapp.py", "%2e%2e/finder.py", "page.py", "/etc/passwd", ""]
)
def test_only_the_assets_of_the_list(address: str, name: str) -> None:
    answer = _ask(address, f"GET /assets/{name} HTTP/1.1\nHost: localhost")
    assert answer.startswith(b"HTTP/1.1 404")
    assert b'{"error":"Not Found"}' in answer


@pytest.mark.parametrize("k", ["0", "-1", "201", "1e9", "9" * 5000, "five", "", "２", "1.5", "²"])
def test_k_is_limited(client: TestClient, k: str) -> None:
    sentence = "k must be a whole number from 1 to 200"
    refused(client.get("/search", params={"id": UNKNOWN, "k": k}), 400, sentence)
    refused(client.get("/pictures", params={"k": k}), 400, sentence)


@pytest.mark.parametrize("label", ["x' OR '1'='1", "'", "cup", "\0", "bowl'--", "😀" * 500])
def test_a_label_is_not_sql(client: TestClient, label: str) -> None:
    sentence = f"no picture has the label '{label}'"
    refused(client.get("/pictures", params={"label": label}), 404, sentence)
    refused(client.post("/search", params={"label": label}, content=b"x"), 404, sentence)


def test_unknown_parameters(client: TestClient) -> None:
    answer = client.get("/pictures", params={"where": "label = 'bowl'"})
    refused(answer, 400, "unknown parameter 'where': choose from k, label")
    answer = client.get("/search", params={"id": UNKNOWN, "path": "/etc/passwd"})
    refused(answer, 400, "unknown parameter 'path': choose from id, k, label")
    refused(client.get("/search"), 400, "name an indexed picture with id, or POST a picture")


@pytest.mark.parametrize("host", ["evil.org", "127.0.0.1.evil.org", "10.0.0.1", "", "[::1", "a@b"])
def test_another_host_is_refused(client: TestClient, host: str) -> None:
    sentence = "this server answers to localhost and 127.0.0.1 only"
    for path in ("/", "/health", "/nothing"):
        refused(client.get(path, headers={"host": host}), 403, sentence)


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "127.0.0.2:8000", "[::1]:8000"])
def test_this_machine_is_answered(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"host": host}).status_code == 200


def test_other_sites_may_not_read(client: TestClient) -> None:
    answer = client.get("/health", headers={"origin": "http://evil.org"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    policy = client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy


def _png(width: int, height: int) -> bytes:
    """The start of a PNG of any size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.fixture(scope="module")
def small_client(store: Path) -> Iterator[TestClient]:
    """A server that takes uploads of 10,000 bytes and 2,000 pixels."""
    with client_of(find_in(store, Limits(10_000, 2_000))) as opened:
        yield opened


def test_pixels_are_limited_before_decoding(client: TestClient) -> None:
    answer = client.post("/search", content=_png(10_000, 6_000))
    sentence = "the picture is too large: 10000 × 6000 pixels, more than 50,000,000"
    refused(answer, 413, sentence)
    # Larger than what Pillow opens.
    answer = client.post("/search", content=_png(100_000, 100_000))
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("the picture is too large: Image size (10000000000 ")


def test_uploads_are_limited(small_client: TestClient) -> None:
    sentence = "the picture is too large: more than 0.00953674 MiB"
    refused(small_client.post("/search", content=b"x" * 10_001), 413, sentence)

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b"x" * 1000

    # Without a Content-Length.
    refused(small_client.post("/search", content=endless()), 413, sentence)
    answer = small_client.post("/search", content=b"x" * 10_000)
    assert answer.status_code == 422


def test_an_announced_size_is_not_waited_for(address: str) -> None:
    request = f"POST /search HTTP/1.1\nHost: localhost\nContent-Length: {10**12}"
    assert _ask(address, request).startswith(b"HTTP/1.1 413")


def test_an_upload_that_does_not_come_is_given_up(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "SECONDS", 0.1)
    request = "POST /search HTTP/1.1\nHost: localhost\nContent-Length: 9"
    assert _ask(address, request).startswith(b"HTTP/1.1 408")


def _jpeg() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((80, 60), 50).save(file, format="JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no picture", "not an image in a known format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image in a known format"),
        (_jpeg()[:900], "image file is truncated"),
        (_png(9, 9), "image file is truncated"),
    ],
)
def test_files_that_are_no_pictures(client: TestClient, content: bytes, reason: str) -> None:
    answer = client.post("/search", content=content, headers={"content-type": "image/jpeg"})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"the picture cannot be read: {reason}")


def test_bodies_that_are_no_files(client: TestClient) -> None:
    refused(client.post("/search"), 400, f"there is no picture in the request: {HOW}")
    kind = {"content-type": "Multipart/Form-Data; boundary=x"}
    answer = client.post("/search", content=b"x", headers=kind)
    refused(answer, 415, f"a form cannot be read: {HOW}")
