import hashlib
import io
import re
import sys
import tarfile
import threading
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcahng.data import CUB, SOP, Archive, Cars, Digits, InShop, PublishedDataset, Source, download
from tests.data.trees import cub_tree, sop_tree

Usage = namedtuple("Usage", "total used free")


@dataclass
class Server:
    """The server's content and behaviour, and the ranges requested so far."""

    content: bytes = b""
    knows_ranges: bool = True
    tells_length: bool = True
    breaks_after: int | None = None
    status: int = 200
    url: str = ""
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            state.asked.append(wanted)
            start = int(wanted[6:-1]) if wanted and state.knows_ranges else 0
            if state.status != 200 or (start and start >= len(state.content)):
                self.send_error(416 if start else state.status)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if state.tells_length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.breaks_after])

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}/files"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield state
        http.shutdown()
        thread.join()


def packed(folder: Path, kind: str) -> bytes:
    """An archive of a folder; as in CUB's, a tar also contains a file beside it."""
    stream = io.BytesIO()
    # Larger than a socket's buffer, so that the connection can break in the middle.
    noise = np.random.default_rng(0).bytes(300_000)
    (folder / "noise.bin").write_bytes(noise)
    if kind == "tgz":
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            tar.add(folder, folder.name)
            tar.addfile(tarfile.TarInfo("attributes.txt"))
        return stream.getvalue()
    with zipfile.ZipFile(stream, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder.parent))
    return stream.getvalue()


def serve(
    server: Server, monkeypatch: pytest.MonkeyPatch, dataset: type[PublishedDataset], name: str
) -> None:
    """Make the server the source of a data set."""
    md5 = hashlib.md5(server.content).hexdigest()
    folder = dataset.source.archives[0].folder
    source = Source("home", "Get it by hand.", (Archive(f"{server.url}/{name}", md5, folder),))
    monkeypatch.setattr(dataset, "source", source)


@pytest.fixture
def birds(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    server.content = packed(cub_tree(tmp_path / "made"), "tgz")
    serve(server, monkeypatch, CUB, "CUB_200_2011.tgz")
    return server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "datasets"


def test_an_archive_is_fetched_checked_and_unpacked(birds: Server, root: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    home = download(CUB, root, lambda done, total: calls.append((done, total)))
    assert home == root / "CUB_200_2011"
    assert (CUB(root).num_classes, CUB(root, "test").num_classes) == (3, 2)
    assert [path.name for path in root.iterdir()] == ["CUB_200_2011"]
    assert calls[-1] == (len(birds.content), len(birds.content))
    assert birds.asked == [None]


def test_zip_archives_are_unpacked_too(
    server: Server, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.content = packed(sop_tree(tmp_path / "made"), "zip")
    serve(server, monkeypatch, SOP, "Stanford_Online_Products.zip")
    assert download(SOP, str(root)) == root / "Stanford_Online_Products"
    assert SOP(root).num_classes == 3


def test_what_is_there_is_not_fetched_again(birds: Server, root: Path) -> None:
    download(CUB, root)
    with pytest.warns(UserWarning, match=r"^CUB is already in '.*/CUB_200_2011': nothing was dow"):
        assert download(CUB, root) == root / "CUB_200_2011"
    assert len(birds.asked) == 1


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_broken_connection_is_resumed(
    birds: Server, root: Path, knows_ranges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The attribute `gcahng.data.download` is the function, not the module.
    monkeypatch.setattr(sys.modules["gcahng.data.download"], "CHUNK", 50_000)
    birds.breaks_after, birds.knows_ranges = 200_000, knows_ranges
    part = root / "CUB_200_2011.tgz.part"
    message = (
        rf"^Cannot download {birds.url}/CUB_200_2011.tgz \(.*200000.*\): try again, which "
        rf"resumes from the 0.2 MB in '{part}', or download by hand\. Get it by hand\.$"
    )
    with pytest.raises(OSError, match=message):
        download(CUB, root)
    assert part.read_bytes() == birds.content[:200_000]
    birds.breaks_after = None
    calls: list[tuple[int, int | None]] = []
    download(CUB, root, lambda done, total: calls.append((done, total)))
    assert birds.asked == [None, "bytes=200000-"]
    assert calls[0] == (250_000 if knows_ranges else 50_000, len(birds.content))
    assert calls[-1] == (len(birds.content), len(birds.content))
    assert len(CUB(root)) == 6
    assert not part.exists()


def test_a_part_that_is_whole_is_used(birds: Server, root: Path) -> None:
    root.mkdir()
    (root / "CUB_200_2011.tgz.part").write_bytes(birds.content)
    download(CUB, root)
    assert birds.asked == [f"bytes={len(birds.content)}-"]
    assert len(CUB(root)) == 6


def test_an_archive_got_by_other_means_is_unpacked_and_kept(birds: Server, root: Path) -> None:
    root.mkdir()
    (root / "CUB_200_2011.tgz").write_bytes(birds.content)
    download(CUB, root)
    assert birds.asked == []
    assert (root / "CUB_200_2011.tgz").read_bytes() == birds.content
    assert len(CUB(root)) == 6


def test_a_server_that_does_not_tell_the_length(birds: Server, root: Path) -> None:
    birds.tells_length = False
    calls: list[tuple[int, int | None]] = []
    download(CUB, root, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (len(birds.content), None)


def test_another_archive_than_the_published_is_removed(birds: Server, root: Path) -> None:
    birds.content = birds.content[:-1] + b"x"
    with pytest.raises(ValueError, match=r"CUB_200_2011.tgz was removed because it is not the pub"):
        download(CUB, root)
    assert list(root.iterdir()) == []


def test_a_refusal_and_a_server_that_is_down_say_what_to_do(birds: Server, root: Path) -> None:
    birds.status = 404
    url = CUB.source.archives[0].url
    message = f"Cannot download {url} (HTTP Error 404: Not Found): try again, or download by hand"
    with pytest.raises(OSError, match=re.escape(message)):
        download(CUB, root)
    down = "http://127.0.0.1:1/CUB_200_2011.tgz"
    archive = Archive(down, "0", "CUB_200_2011")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CUB, "source", Source("home", "Get it by hand.", (archive,)))
        with pytest.raises(OSError, match=rf"^Cannot download {down} \(\[Errno \d+\] .*\): try "):
            download(CUB, root)


def test_too_small_a_disk_is_noticed_before(
    birds: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(birds.content)
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(0, 0, 2 * size - 1))
    with pytest.raises(ValueError, match=r"has 0.\d MB free, but the archive and its contents"):
        download(CUB, root)
    assert list(root.iterdir()) == []
    # A partial download reduces the space needed.
    (root / "CUB_200_2011.tgz.part").write_bytes(birds.content[:10])
    download(CUB, root)
    assert len(CUB(root)) == 6


def test_an_incomplete_folder_is_not_written_over(birds: Server, root: Path) -> None:
    (root / "CUB_200_2011").mkdir(parents=True)
    message = rf"^'{root}/CUB_200_2011' exists but is incomplete: move it away, then download again"
    with pytest.raises(ValueError, match=message):
        download(CUB, root)
    assert birds.asked == []


def test_what_needs_a_person_says_what_to_do(root: Path) -> None:
    with pytest.raises(ValueError, match=rf"^Cars must be .*'{root}'.*pytorch/vision/issues/754"):
        download(Cars, root)
    with pytest.raises(ValueError, match=r"^InShop must be downloaded by hand.*Request acce"):
        download(InShop, root)
    with pytest.raises(ValueError, match=r"^Digits has nothing to download\.$"):
        download(Digits, root)
    assert not root.exists()


def escaping_tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../escaped.txt"))
    return stream.getvalue()


def escaping_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("../escaped.txt", "")
    return stream.getvalue()


def empty_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("CUB/images.txt", "")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (escaping_tar(), r"Cannot unpack '.*' \(.*outside the destination"),
        (escaping_zip(), r"would write outside its folder, to '\.\./escaped\.txt'"),
        (b"no archive", r"Cannot unpack"),
        (empty_zip(), r"does not contain the folder CUB_200_2011/"),
    ],
    ids=["escaping tar", "escaping zip", "no archive", "empty zip"],
)
def test_archives_that_do_not_unpack_leave_nothing_behind(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    server.content = content
    serve(server, monkeypatch, CUB, "CUB_200_2011.tgz")
    with pytest.raises(ValueError, match=message):
        download(CUB, root)
    assert [path.name for path in root.iterdir()] == ["CUB_200_2011.tgz.part"]
    assert not (root.parent / "escaped.txt").exists()


def test_an_archive_without_the_files_is_noticed(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = cub_tree(tmp_path / "made")
    (home / "images.txt").unlink()
    server.content = packed(home, "tgz")
    serve(server, monkeypatch, CUB, "CUB_200_2011.tgz")
    with pytest.raises(ValueError, match=rf"^CUB was downloaded to '{root}' but lacks files\. Get"):
        download(CUB, root)
