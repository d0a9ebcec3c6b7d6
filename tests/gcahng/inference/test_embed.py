"""Pictures are found, read and embedded into files."""

import csv
import errno
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from safetensors import safe_open

from gcahng.inference import embed
from gcahng.inference.embed import Unreadable, find_pictures, read_pictures, write_embeddings
from gcahng.inference.embedder import TrainedEmbedder, load_embedder
from gcahng.inference.images import FromAnyImage
from gcahng.inference.store import EmbeddedPicture
from gcahng.preparation import PHOTO
from gcahng.reasons import install_extra
from tests import limits
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
    found = list(read_pictures(files, FromAnyImage(PHOTO), {}, thumbnails=True))
    assert [picture.file for picture, _ in found] == files
    bad = [picture for picture, _ in found if isinstance(picture, Unreadable)]
    assert {os.path.relpath(p.file.path, photos): p.reason for p in bad} == {
        "cup/0.png": "not an image in a known format",
        "cup/7.png": "not a regular file",
        "lamp/0.png": "No such file or directory",
    }
    assert str(bad[0]) == f"{photos}/cup/0.png: not an image in a known format"
    good = [picture for picture, _ in found if isinstance(picture, EmbeddedPicture)]
    assert len(good) == 18 - 3
    assert all(picture.thumbnail.startswith(b"\xff\xd8") for picture in good)
    assert {picture.state.size for picture in good} == {
        Path(picture.file.path).stat().st_size for picture in good
    }


def test_known_content_is_not_decoded(photos: Path) -> None:
    files = find_pictures([photos])
    transform = FromAnyImage(PHOTO)
    states = {p.file.path: p.state for p, _ in read_pictures(files, transform, {})}  # type: ignore[union-attr]
    changed = files[3]
    shutil.copy(files[10].path, changed.path)
    for picture, inputs in read_pictures(files, transform, states):
        assert (inputs is None) == (picture.file != changed)


def test_a_file_that_the_system_does_not_open_is_not_unreadable(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        list(read_pictures(find_pictures([photos]), FromAnyImage(PHOTO), {}))


def _read(out: Path) -> tuple[np.ndarray, list[str], list[str | None]]:
    """Embeddings, paths and labels of a file."""
    if out.suffix == ".npy":
        with out.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return np.load(out), [r["path"] for r in rows], [r["label"] or None for r in rows]
    if out.suffix == ".safetensors":
        with safe_open(out, framework="np") as tensors:
            columns = tensors.metadata()
            embeddings = tensors.get_tensor("embeddings")
        return embeddings, json.loads(columns["path"]), json.loads(columns["label"])
    table = parquet.read_table(out)
    embeddings = np.array(table["embedding"].to_pylist(), dtype=np.float32)
    return embeddings, table["path"].to_pylist(), table["label"].to_pylist()


@pytest.mark.parametrize(
    ("suffix", "normalize"), [(".npy", False), (".safetensors", True), (".parquet", True)]
)
def test_holds_the_models_embeddings(
    suffix: str, normalize: bool, model: TrainedEmbedder, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / f"found{suffix}"
    draw(tmp_path / "more" / "0.png", "black", 0)
    files = find_pictures([photos, photos / "cup" / "0.png"])
    assert write_embeddings(model, files, out, normalize=normalize) == []
    embeddings, paths, labels = _read(out)
    assert paths == [file.path for file in files]
    assert labels == [file.label for file in files]
    assert embeddings.dtype == np.float32
    expected = model.embed(paths, normalize=normalize, batch_size=32)
    torch.testing.assert_close(torch.from_numpy(embeddings), expected)
    beside = [".csv", ".npy"] if suffix == ".npy" else [suffix]
    assert sorted(path.suffix for path in out.parent.iterdir()) == beside
    # What a full disk refuses is named, and then goes on.
    before, more = out.read_bytes(), [*files, *find_pictures([tmp_path / "more"])]
    with limits.file_size(600), pytest.raises(OSError, match=r"cannot write .*\.found"):
        write_embeddings(model, more, out, normalize=normalize)
    assert out.read_bytes() == before
    write_embeddings(model, more, out, normalize=normalize)
    assert _read(out)[1] == [file.path for file in more]


class Stopped(Exception):
    pass


def _stop_at(count: int, seen: list[int]) -> embed.Progress:
    def progress(done: int, total: int) -> None:
        seen.append(done)
        if done == count:
            raise Stopped

    return progress


def test_goes_on_where_it_stopped(
    model: TrainedEmbedder, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "PART", 4)
    monkeypatch.setattr(embed, "BATCH_SIZE", 4)
    out, files = tmp_path / "found.npy", find_pictures([photos])
    with pytest.raises(Stopped):
        write_embeddings(model, files, out, progress=_stop_at(11, []))
    assert not out.exists()
    # One of the eight that are done changes, and one of their files is gone.
    shutil.copy(files[12].path, files[1].path)
    Path(files[2].path).unlink()
    seen: list[int] = []
    left_out = write_embeddings(model, files, out, progress=lambda done, _: seen.append(done))
    assert seen[0] == 7, "six are taken over"
    assert [bad.file for bad in left_out] == [files[2]]
    embeddings, paths, _ = _read(out)
    assert paths == [file.path for file in files if file != files[2]]
    expected = model.embed(paths)
    torch.testing.assert_close(torch.from_numpy(embeddings), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.csv", "found.npy", "photos"]


@pytest.mark.parametrize("change", ["model", "normalize", "damage"])
def test_takes_nothing_from_another_run(
    change: str,
    model: TrainedEmbedder,
    other_model_folder: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embed, "SECONDS", 0.0)
    out, files = tmp_path / "found.npy", find_pictures([photos])
    with pytest.raises(Stopped):
        write_embeddings(model, files, out, progress=_stop_at(5, []))
    if change == "damage":
        for part in (tmp_path / ".found.npy.unfinished").glob("*.safetensors"):
            part.write_bytes(b"damaged")
    next_model = load_embedder(other_model_folder) if change == "model" else model
    seen: list[int] = []
    settings = {"normalize": change == "normalize"}
    write_embeddings(next_model, files, out, progress=_stop_at(99, seen), **settings)
    assert seen[0] == 1
    expected = next_model.embed([file.path for file in files], **settings)
    torch.testing.assert_close(torch.from_numpy(_read(out)[0]), expected)


def test_unreadable_files(model: TrainedEmbedder, photos: Path, tmp_path: Path) -> None:
    (photos / "cup" / "0.png").write_bytes(b"no picture")
    files, out = find_pictures([photos]), tmp_path / "found.npy"
    with pytest.raises(ValueError, match=r"0\.png: not an image in a known format; repair it"):
        write_embeddings(model, files, out, stop_at_unreadable=True)
    assert not out.exists()
    assert len(write_embeddings(model, files, out)) == 1
    only = find_pictures([photos / "cup" / "0.png"])
    with pytest.raises(ValueError, match="none of the 1 files can be read"):
        write_embeddings(model, only, tmp_path / "none.npy")
    assert not list(tmp_path.glob("*none*"))


def test_parquet_without_pyarrow(
    model: TrainedEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=re.escape(install_extra("search"))):
        write_embeddings(model, [], tmp_path / "found.parquet")


def test_a_table_of_the_users_is_not_replaced(
    model: TrainedEmbedder, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"photos\.csv' is in the way: name another file"):
        write_embeddings(model, find_pictures([photos]), tmp_path / "photos.npy")
    assert (tmp_path / "photos.csv").read_text() == "mine"


@pytest.mark.parametrize("moment", ["unlink", "rows", "vectors"])
def test_vectors_never_stand_beside_the_rows_of_others(
    moment: str,
    model: TrainedEmbedder,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, files = tmp_path / "found.npy", find_pictures([photos])
    write_embeddings(model, files[:7], out)
    before, target_of = _read(out)[1], {"rows": out.with_suffix(".csv"), "vectors": out}
    unlink, replace = Path.unlink, os.replace

    def stop_at_unlink(path: Path, **settings: bool) -> None:
        if moment == "unlink" and path == out:
            raise KeyboardInterrupt
        unlink(path, **settings)

    def stop_at_replace(source: Path, target: Path) -> None:
        if target == target_of.get(moment):
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", stop_at_unlink)
        patch.setattr("gcahng.files.os.replace", stop_at_replace)
        with pytest.raises(KeyboardInterrupt):
            write_embeddings(model, files, out)
    if moment == "unlink":
        assert _read(out)[1] == before
    else:
        assert not out.exists()
    write_embeddings(model, files, out)
    embeddings, paths, _ = _read(out)
    assert paths == [file.path for file in files]
    torch.testing.assert_close(torch.from_numpy(embeddings), model.embed(paths))
