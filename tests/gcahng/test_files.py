import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gcahng.files import atomic_write, check_folder, refuse_address, write_text
from tests import limits


def test_write_text_creates_folders_and_replaces(tmp_path):
    path = tmp_path / "new" / "note.txt"
    write_text(path, "één\n")
    write_text(path, "zwei – 2\n")
    assert path.read_bytes() == "zwei – 2\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["note.txt"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_mode_follows_the_umask(tmp_path, monkeypatch):
    before = os.umask(0o027)
    # Files of other threads would get another mask.
    monkeypatch.setattr(os, "umask", None)
    try:
        write_text(tmp_path / "shared.txt", "x")
    finally:
        monkeypatch.undo()
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "shared.txt").stat().st_mode) == 0o640


def write_halfway(path):
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"half")
        assert (temporary.parent, temporary.suffix) == (path.parent, path.suffix)
        assert path.read_bytes() == b"old"
        raise RuntimeError("midway")


def test_failure_keeps_the_old_file_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="midway"):
        write_halfway(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_utf_8_cannot_encode_is_written_as_escapes(tmp_path):
    path = tmp_path / "note.txt"
    write_text(path, "caf\udce9 \ud800 ä – 鳥")
    assert path.read_text(encoding="utf-8") == "caf\\udce9 \\ud800 ä – 鳥"


def test_a_folder_or_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=f"'{tmp_path}': it is a folder"):
        write_text(tmp_path, "")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NotADirectoryError, match=f"^--out: '{file}' is a file, so '{file}/a/b'"):
        check_folder(file / "a" / "b", "--out")
    check_folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == [file], "nothing is made"


@pytest.mark.parametrize("given", ["https://a.org/b", Path("https://a.org/b"), "https:/a.org/b"])
def test_an_address_is_not_taken_for_a_folder(
    given: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^--out: 'https://a\.org/b' is an address"):
        refuse_address(given, "--out")
    with pytest.raises(ValueError, match=r"'https://a\.org' is an address"):
        write_text(given, "text")
    assert list(tmp_path.iterdir()) == []
    for path in ("C:/photos", "/https://x", "photos: new/1", "./https://x", "s3"):
        refuse_address(path)


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OSError, match=f"cannot write '{path}': it is not a regular file"):
            write_text(path, "text")
    assert sorted(tmp_path.iterdir()) == [link, pipe]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


WRITERS: dict[str, Callable[[Path, np.ndarray], object]] = {
    "array.npy": lambda path, array: np.save(path, array),
    "weights.safetensors": lambda path, array: save_file({"a": torch.from_numpy(array)}, path),
    "weights.pt": lambda path, array: torch.save({"a": torch.from_numpy(array)}, path),
    "bytes.txt": lambda path, array: path.write_bytes(array.tobytes()),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_the_system_refuses_is_named_and_left_as_it_was(
    tmp_path: Path, name: str
) -> None:
    path, array = tmp_path / name, np.random.default_rng(0).random((100, 100))
    path.write_bytes(b"old")

    def write() -> None:
        with atomic_write(path) as temporary:
            WRITERS[name](temporary, array)

    with limits.file_size(4096), pytest.raises(OSError, match="cannot write") as info:
        write()
    assert str(info.value).startswith(f"cannot write '{path}': ")
    assert "\n" not in str(info.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    write()
    assert path.stat().st_size > 4096


def test_a_refused_folder_and_too_many_open_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    with limits.no_more_files(), pytest.raises(OSError, match="ulimit -n") as info:
        write_text(path, "x")
    assert f"cannot write '{path}'" in str(info.value)
    assert list(tmp_path.iterdir()) == []
