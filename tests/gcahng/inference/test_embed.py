"""Pictures are found, read and embedded into files."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from gcahng.inference.embed import (
    ReadPicture,
    Unreadable,
    find_pictures,
    read_pictures,
    write_embeddings,
)
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.images import FromAnyImage
from gcahng.preparation import PHOTO
from tests.gcahng.inference.conftest import draw


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


def test_nothing_at_a_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no picture and no folder"):
        find_pictures([tmp_path / "nowhere"])


def test_reads_in_order_with_reasons(photos: Path) -> None:
    (photos / "cup" / "0.png").write_bytes(b"no picture")
    (photos / "cup" / "1.png").unlink()
    os.mkfifo(photos / "cup" / "7.png")  # reading it would never end
    files = find_pictures([photos])
    (photos / "lamp" / "0.png").unlink()
    batches = read_pictures(files, FromAnyImage(PHOTO), thumbnails=True)
    found = [picture for batch in batches for picture in batch]
    assert [picture.file for picture in found] == files
    bad = [picture for picture in found if isinstance(picture, Unreadable)]
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


def test_holds_the_models_embeddings(model: TrainedEmbedder, photos: Path, tmp_path: Path) -> None:
    for number in range(20):
        draw(photos / "vase" / f"{number}.png", "black", number)
    out = tmp_path / "out" / "found.npy"
    files = find_pictures([photos, photos / "cup" / "0.png"])
    for some in (files[:7], files):
        assert write_embeddings(model, some, out) == []
        embeddings = np.load(out)
        with out.with_suffix(".csv").open(encoding="utf-8", newline="") as table:
            rows = list(csv.DictReader(table))
        assert [row["path"] for row in rows] == [file.path for file in some]
        assert [row["label"] for row in rows] == [file.label for file in some]
        assert embeddings.dtype == np.float32
        expected = model.embed([file.path for file in some])
        torch.testing.assert_close(torch.from_numpy(embeddings), expected)
    assert sorted(path.name for path in out.parent.iterdir()) == ["found.csv", "found.npy"]


def test_unreadable_files(model: TrainedEmbedder, photos: Path, tmp_path: Path) -> None:
    (photos / "cup" / "0.png").write_bytes(b"no picture")
    files, out = find_pictures([photos]), tmp_path / "found.npy"
    assert len(write_embeddings(model, files, out)) == 1
    only = find_pictures([photos / "cup" / "0.png"])
    with pytest.raises(ValueError, match="none of the 1 files can be read"):
        write_embeddings(model, only, tmp_path / "none.npy")
    assert not list(tmp_path.glob("*none*"))


def test_a_table_of_the_users_is_not_replaced(
    model: TrainedEmbedder, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"photos\.csv' is in the way: name another file"):
        write_embeddings(model, find_pictures([photos]), tmp_path / "photos.npy")
    assert (tmp_path / "photos.csv").read_text() == "mine"
