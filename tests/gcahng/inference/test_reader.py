import errno
import os
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from gcahng.inference import reader
from gcahng.inference.reader import (
    FileState,
    PictureFile,
    ReadPicture,
    Unreadable,
    find_pictures,
    has_changed,
    read_pictures,
)
from tests.gcahng.inference.conftest import draw


def _brightness(image: Image.Image) -> torch.Tensor:
    return torch.tensor(float(sum(image.resize((1, 1)).getpixel((0, 0)))))  # type: ignore[arg-type]


def test_classes_are_the_first_folders(photos: Path) -> None:
    draw(photos / "loose.png", "red", 0)
    draw(photos / "cup" / "deep" / "down.png", "red", 0)
    draw(photos / ".hidden" / "0.png", "red", 0)
    (photos / "cup" / "notes.txt").write_text("no picture")
    labels = {os.path.relpath(file.path, photos): file.label for file in find_pictures([photos])}
    assert len(labels) == 20
    assert labels["loose.png"] is None
    assert labels["cup/deep/down.png"] == labels["cup/0.png"] == "cup"
    assert all(file.split is None for file in find_pictures([photos]))


def test_splits_are_folders_around_the_classes(photos: Path, tmp_path: Path) -> None:
    for name in ("train", "test", "valid"):
        shutil.copytree(photos, tmp_path / "split" / name)
    found = find_pictures([tmp_path / "split"])
    assert {(file.split, file.label) for file in found} == {
        (split, label) for split in ("train", "test", "val") for label in ("bowl", "cup", "lamp")
    }
    shutil.rmtree(tmp_path / "split" / "test")
    # Without test/, a folder `train` is a class like any other.
    assert {file.label for file in find_pictures([tmp_path / "split"])} == {"train", "valid"}


def test_files_and_folders_each_once_in_order(photos: Path) -> None:
    one, other = photos / "lamp" / "3.png", photos / "cup"
    found = [file.path for file in find_pictures([one, other, photos / "lamp", one])]
    assert found[0] == str(one)
    assert len(found) == len(set(found)) == 12


def test_nothing_at_a_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no picture and no folder"):
        find_pictures([tmp_path / "nowhere"])


def test_reads_in_order_with_reasons(photos: Path) -> None:
    (photos / "cup" / "0.png").write_bytes(b"no picture")
    (photos / "cup" / "1.png").unlink()
    os.mkfifo(photos / "cup" / "7.png")  # reading it would never end
    files = find_pictures([photos])
    (photos / "lamp" / "0.png").unlink()
    found = list(read_pictures(files, _brightness, thumbnails=True))
    assert [picture.file for picture in found] == files
    bad = [p for p in found if isinstance(p, Unreadable)]
    assert {os.path.relpath(p.file.path, photos): p.reason for p in bad} == {
        "cup/0.png": "not an image in a known format",
        "cup/7.png": "not a regular file",
        "lamp/0.png": "No such file or directory",
    }
    assert str(bad[0]) == f"{photos}/cup/0.png: not an image in a known format"
    good = [picture for picture in found if isinstance(picture, ReadPicture)]
    assert len(good) == 18 - 3
    assert all(picture.thumbnail.startswith(b"\xff\xd8") for picture in good)
    assert {picture.state.size for picture in good} == {
        Path(picture.file.path).stat().st_size for picture in good
    }


def test_known_content_is_not_decoded(photos: Path) -> None:
    files = find_pictures([photos])
    states = {p.file.path: p.state for p in read_pictures(files, _brightness)}  # type: ignore[union-attr]
    changed = files[3]
    shutil.copy(files[10].path, changed.path)
    for picture in read_pictures(files, _brightness, known=states):
        assert isinstance(picture, ReadPicture)
        assert (picture.inputs is None) == (picture.file != changed)


def test_a_consumer_may_stop_early(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "THREADS", 1)
    transformed: list[torch.Tensor] = []

    def count(image: Image.Image) -> torch.Tensor:
        transformed.append(_brightness(image))
        return transformed[-1]

    pictures = read_pictures(find_pictures([photos]), count)
    next(pictures)
    pictures.close()  # type: ignore[attr-defined]
    assert 1 <= len(transformed) <= 4, "those read ahead, not all 18"


def test_changes_are_seen_by_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    draw(path, "red", 0)
    file, status = PictureFile(str(path)), path.stat()
    state = FileState(status.st_size, status.st_mtime_ns, "")
    assert has_changed(file, None)
    assert not has_changed(file, state)
    os.utime(path, ns=(1, 1))
    assert has_changed(file, state)
    path.unlink()
    assert has_changed(file, state)


def test_a_file_that_the_system_does_not_open_is_not_unreadable(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        list(read_pictures(find_pictures([photos]), _brightness))
