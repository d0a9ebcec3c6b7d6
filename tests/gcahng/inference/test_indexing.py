"""A store follows its folder, whatever happens to either."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.indexing import index_folder
from gcahng.inference.store import PictureStore
from gcahng.jobs.claim import exclusive_lock
from tests.gcahng.inference.conftest import draw

ALL = 18


def index(
    model: TrainedEmbedder, photos: Path, store: Path, **settings: bool
) -> tuple[PictureStore, str]:
    made, changes = index_folder(model, photos, store, **settings)  # type: ignore[arg-type]
    return made, str(changes)


def test_vectors_are_the_models(model: TrainedEmbedder, photos: Path, tmp_path: Path) -> None:
    store, changes = index(model, photos, tmp_path / "store")
    assert changes == "18 added, 0 replaced, 0 deleted, 0 unchanged"
    assert len(store) == ALL
    assert store.labels() == {"bowl": 6, "cup": 6, "lamp": 6}
    found = model.search(tmp_path / "store", photos / "cup" / "3.png", k=ALL)
    assert [found[0].path, found[0].label] == [str(photos / "cup" / "3.png"), "cup"]
    paths = [near.path for near in found]
    assert sorted(paths) == sorted(map(str, photos.rglob("*.png")))
    vectors = model.embed(paths, normalize=True)
    query = model.embed(photos / "cup" / "3.png", normalize=True)[0]
    expected = vectors @ query
    measured = torch.tensor([near.similarity for near in found])
    torch.testing.assert_close(measured, expected, atol=1e-5, rtol=0)
    assert measured.tolist() == sorted(measured.tolist(), reverse=True)


def test_only_changes_are_embedded(
    model: TrainedEmbedder, photos: Path, tmp_path: Path, counted: list[int]
) -> None:
    store = tmp_path / "store"
    index(model, photos, store)
    assert sum(counted) == ALL
    counted.clear()
    changes = index(model, photos, store)[1]
    assert changes == "0 added, 0 replaced, 0 deleted, 18 unchanged"
    assert sum(counted) == 0
    draw(photos / "cup" / "new.png", "black", 1)
    shutil.copy(photos / "bowl" / "1.png", photos / "bowl" / "0.png")
    os.utime(photos / "bowl" / "2.png", ns=(1, 1))
    (photos / "lamp" / "0.png").unlink()
    shutil.rmtree(photos / "lamp")
    made, changes = index(model, photos, store)
    assert changes == "1 added, 2 replaced, 6 deleted, 10 unchanged"
    assert sum(counted) == 3
    assert made.labels() == {"bowl": 6, "cup": 7}
    first, second = (near.similarity for near in model.search(made, photos / "bowl" / "1.png", k=2))
    assert first == pytest.approx(1)
    assert second == pytest.approx(1)
    counted.clear()
    changes = index(model, photos, store)[1]
    assert changes == "0 added, 0 replaced, 0 deleted, 13 unchanged"
    assert sum(counted) == 0


def test_unreadable_files_are_listed_and_leave_the_store(
    model: TrainedEmbedder, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, original = torch.full((16,), torch.nan), model.embed_each
    with monkeypatch.context() as patch:
        patch.setattr(model, "embed_each", lambda inputs: [broken, *original(inputs)[1:]])
        store, changes = index_folder(model, photos, tmp_path / "store")
    assert [bad.reason for bad in changes.unreadable] == ["its embedding is not finite, or 0"]
    assert len(store) == ALL - 1
    index(model, photos, tmp_path / "store")
    (photos / "cup" / "0.png").write_bytes(b"not any more")
    store, changes = index_folder(model, photos, tmp_path / "store")
    assert [Path(bad.file.path).name for bad in changes.unreadable] == ["0.png"]
    assert (changes.deleted, len(store)) == (1, ALL - 1)
    refused = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    monkeypatch.setattr(Path, "read_bytes", Mock(side_effect=refused))
    os.utime(photos / "cup" / "1.png", (1.0, 1.0))
    with pytest.raises(OSError, match="open files"):
        index_folder(model, photos, tmp_path / "store")
    assert len(store) == ALL - 1, "pictures are not given up for what the system refuses"


KILLED = """
import sys
from gcahng.inference import embed, indexing
from gcahng.inference.embedder import load_embedder

embed.PART = embed.BATCH_SIZE = 4
model = load_embedder(sys.argv[1])

def wait(done, total):
    if done == 12:
        print("twelve", flush=True)
        sys.stdin.read()

indexing.index_folder(model, sys.argv[2], sys.argv[3], progress=wait)
"""


@pytest.mark.slow
def test_a_killed_run_continues(
    model: TrainedEmbedder, model_folder: Path, photos: Path, tmp_path: Path, counted: list[int]
) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-c", KILLED, model_folder, photos, store]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"twelve\n"
    with pytest.raises(ValueError, match="is in use by another process"):
        index_folder(model, photos, store)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(PictureStore(store)) == 12, "three whole transactions"
    made, changes = index(model, photos, store)
    assert changes == "6 added, 0 replaced, 0 deleted, 12 unchanged"
    assert sum(counted) == 6
    assert len(made) == ALL


def test_a_store_is_left_alone(model: TrainedEmbedder, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for store in ("full", "full/mine.txt"):
        with pytest.raises((ValueError, OSError), match="--store: "):
            index_folder(model, photos, tmp_path / store)
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["mine.txt"]
    index(model, photos, tmp_path / "store")
    with exclusive_lock(tmp_path / "store"), pytest.raises(ValueError, match="is in use by anoth"):
        index_folder(model, photos, tmp_path / "store")
    shutil.rmtree(photos)
    photos.mkdir()  # as where nothing is mounted
    with pytest.raises(ValueError, match="has no pictures; the store is left as it is"):
        index_folder(model, photos, tmp_path / "store")
    assert len(PictureStore(tmp_path / "store")) == ALL


def test_index_for_approximate_search(model: TrainedEmbedder, photos: Path, tmp_path: Path) -> None:
    store, _ = index(model, photos, tmp_path / "store", ann=True)
    assert store.indexed()
    # New pictures are found, with the index and without.
    draw(photos / "cup" / "new.png", "black", 1)
    store, _ = index(model, photos, tmp_path / "store")
    for exact in (True, False):
        found = model.search(store, photos / "cup" / "new.png", k=1, exact=exact)
        assert found[0].path == str(photos / "cup" / "new.png")


def test_names_that_are_not_utf8(model: TrainedEmbedder, photos: Path, tmp_path: Path) -> None:
    raw = os.fsencode(photos / "cup") + b"/caf\xe9.png"
    shutil.copy(photos / "cup" / "0.png", raw)
    quoted = photos / "cup" / 'a\'b "c" [d].png'
    shutil.copy(photos / "cup" / "1.png", quoted)
    changes = index(model, photos, tmp_path / "store")[1]
    assert changes.startswith("20 added")
    assert index(model, photos, tmp_path / "store")[1].endswith("20 unchanged")
    os.remove(raw)
    quoted.unlink()
    changes = index(model, photos, tmp_path / "store")[1]
    assert changes == "0 added, 0 replaced, 2 deleted, 18 unchanged"


def test_classes_follow_the_folder(model: TrainedEmbedder, photos: Path, tmp_path: Path) -> None:
    (photos / "train").mkdir()
    for name in ("bowl", "cup", "lamp"):
        (photos / name).rename(photos / "train" / name)
    store, _ = index(model, photos, tmp_path / "store")
    assert store.labels() == {"train": ALL}
    # A folder test/ makes train/ a split.
    draw(photos / "test" / "vase" / "0.png", "black", 0)
    store, changes = index(model, photos, tmp_path / "store")
    assert changes == "1 added, 18 replaced, 0 deleted, 0 unchanged"
    assert store.labels() == {"bowl": 6, "cup": 6, "lamp": 6, "vase": 1}
    assert store.count("split = 'train'") == ALL
    # The folder of one class says nothing about classes.
    (photos / "train" / "cup" / "0.png").write_bytes(
        (photos / "train" / "cup" / "1.png").read_bytes()
    )
    store, changes = index(model, photos / "train" / "cup", tmp_path / "store")
    assert changes == "0 added, 1 replaced, 0 deleted, 5 unchanged"
    assert store.labels()["cup"] == 6
