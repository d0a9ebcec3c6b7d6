"""A store follows its folder, whatever happens to either."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gcahng.inference import embed, indexing
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.indexing import index_folder, measure_recall
from gcahng.inference.store import PictureStore
from gcahng.jobs.claim import exclusive_lock
from tests import limits
from tests.gcahng.inference.conftest import draw

ALL = 18


def index(
    model: TrainedEmbedder, photos: Path, store: Path, **settings: bool
) -> tuple[PictureStore, str]:
    made, changes = index_folder(model, photos, store, **settings)  # type: ignore[arg-type]
    return made, str(changes)


def test_vectors_are_the_models(model: TrainedEmbedder, photos: Path, tmp_path: Path) -> None:
    store, changes = index(model, photos, tmp_path / "store")
    assert changes == "18 added, 0 replaced, 0 relabelled, 0 deleted, 0 unchanged"
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
    assert changes == "0 added, 0 replaced, 0 relabelled, 0 deleted, 18 unchanged"
    assert sum(counted) == 0
    draw(photos / "cup" / "new.png", "black", 1)
    shutil.copy(photos / "bowl" / "1.png", photos / "bowl" / "0.png")
    os.utime(photos / "bowl" / "2.png", ns=(1, 1))  # the same content at another time
    (photos / "lamp" / "0.png").unlink()
    shutil.rmtree(photos / "lamp")
    made, changes = index(model, photos, store)
    assert changes == "1 added, 1 replaced, 0 relabelled, 6 deleted, 11 unchanged"
    assert sum(counted) == 2
    assert made.labels() == {"bowl": 6, "cup": 7}
    first, second = (near.similarity for near in model.search(made, photos / "bowl" / "1.png", k=2))
    assert first == pytest.approx(1)
    assert second == pytest.approx(1)
    counted.clear()
    changes = index(model, photos, store)[1]
    assert changes == "0 added, 0 replaced, 0 relabelled, 0 deleted, 13 unchanged"
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
    with pytest.raises(ValueError, match=r"0\.png: not an image in a known format; repair it"):
        index_folder(model, photos, tmp_path / "store", stop_at_unreadable=True)


def test_a_folder_that_was_moved_can_be_forgotten(
    model: TrainedEmbedder, photos: Path, tmp_path: Path
) -> None:
    store, _ = index(model, photos, tmp_path / "store")
    photos.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError, match="index it where it is now with --forget"):
        index_folder(model, photos, tmp_path / "store")
    store, changes = index_folder(model, tmp_path / "moved", tmp_path / "store", forget=[photos])
    assert str(changes) == "18 added, 0 replaced, 0 relabelled, 18 deleted, 0 unchanged"
    assert len(store) == ALL


KILLED = """
import sys
from pathlib import Path
from gcahng.inference import embed, indexing
from gcahng.inference.embedder import load_embedder

embed.PART = 4
model = load_embedder(sys.argv[1])

def wait(done, total):
    if done == 10:
        print("ten", flush=True)
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
    assert process.stdout.readline() == b"ten\n"
    with pytest.raises(ValueError, match="is in use by another process"):
        index_folder(model, photos, store)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(PictureStore(store)) == 8, "two whole transactions"
    made, changes = index(model, photos, store)
    assert changes == "10 added, 0 replaced, 0 relabelled, 0 deleted, 8 unchanged"
    assert sum(counted) == 10
    assert len(made) == ALL


def test_slow_pictures_are_written_in_time(
    model: TrainedEmbedder, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "SECONDS", 0.0)
    monkeypatch.setattr(indexing, "MOST_FRAGMENTS", 100)
    store, _ = index(model, photos, tmp_path / "store")
    assert store.fragments() == ALL
    monkeypatch.setattr(indexing, "MOST_FRAGMENTS", 5)
    store, _ = index(model, photos, tmp_path / "store")
    assert (store.fragments(), len(store)) == (1, ALL)


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
    recall = measure_recall(store, k=3)
    assert (recall.queries, recall.k) == (ALL, 3)
    assert recall.recall > 0.9
    assert "of the 3 nearest (mean over 18 pictures)" in str(recall)
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
    assert changes == "0 added, 0 replaced, 0 relabelled, 2 deleted, 18 unchanged"


def test_a_store_that_was_never_completed_is_made(
    model: TrainedEmbedder, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "store" / "pictures.lance" / "data").mkdir(parents=True)
    (tmp_path / "store" / ".DS_Store").touch()
    with pytest.raises(FileNotFoundError, match="make one with gcahng index"):
        PictureStore(tmp_path / "store")
    assert len(index(model, photos, tmp_path / "store")[0]) == ALL


def test_a_full_disk_is_one_sentence_and_the_store_goes_on(
    model: TrainedEmbedder, photos: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with limits.file_size(2500), pytest.raises(OSError, match="ulimit -f") as info:
        index(model, photos, store)
    assert str(info.value).startswith(f"cannot write '{store}': ")
    assert len(index(model, photos, store)[0]) == ALL


def test_classes_follow_the_folder(model: TrainedEmbedder, photos: Path, tmp_path: Path) -> None:
    (photos / "train").mkdir()
    for name in ("bowl", "cup", "lamp"):
        (photos / name).rename(photos / "train" / name)
    store, _ = index(model, photos, tmp_path / "store")
    assert store.labels() == {"train": ALL}
    # A folder test/ makes train/ a split.
    draw(photos / "test" / "vase" / "0.png", "black", 0)
    store, changes = index(model, photos, tmp_path / "store")
    assert changes == "1 added, 0 replaced, 18 relabelled, 0 deleted, 0 unchanged"
    assert store.labels() == {"bowl": 6, "cup": 6, "lamp": 6, "vase": 1}
    assert store.count("split = 'train'") == ALL
    # The folder of one class says nothing about classes.
    (photos / "train" / "cup" / "0.png").write_bytes(
        (photos / "train" / "cup" / "1.png").read_bytes()
    )
    store, changes = index(model, photos / "train" / "cup", tmp_path / "store")
    assert changes == "0 added, 1 replaced, 0 relabelled, 0 deleted, 5 unchanged"
    assert store.labels()["cup"] == 6


def test_links_to_other_classes_are_those_of_a_training(
    model: TrainedEmbedder, photos: Path, tmp_path: Path
) -> None:
    (photos / "bowl" / "more").symlink_to("../cup")
    (photos / "all").symlink_to(".")
    store, changes = index(model, photos, tmp_path / "store")
    assert changes == "18 added, 0 replaced, 0 relabelled, 0 deleted, 0 unchanged"
    assert store.labels() == {"bowl": 6, "cup": 6, "lamp": 6}


def test_splits_that_go_are_said(
    model: TrainedEmbedder, photos: Path, tmp_path: Path, counted: list[int]
) -> None:
    for name in ("train", "test"):
        shutil.copytree(photos, tmp_path / "both" / name)
    store, _ = index(model, tmp_path / "both", tmp_path / "store")
    assert (store.count("split = 'train'"), store.count("split = 'test'")) == (18, 18)
    shutil.rmtree(tmp_path / "both" / "test")
    counted.clear()
    store, changes = index(model, tmp_path / "both", tmp_path / "store")
    assert changes == "0 added, 0 replaced, 18 relabelled, 18 deleted, 0 unchanged"
    # As in a new store: `train` alone is a class, and there are no splits.
    assert (store.labels(), store.count("split is not null")) == ({"train": 18}, 0)
    assert sum(counted) == 0


def test_the_folder_around_decides(model: TrainedEmbedder, photos: Path, tmp_path: Path) -> None:
    draw(photos / "cup" / "deep" / "0.png", "black", 0)
    store, _ = index(model, photos / "cup", tmp_path / "store")
    assert store.labels() == {"deep": 1}
    store, changes = index(model, photos, tmp_path / "store")
    assert changes == "12 added, 0 replaced, 7 relabelled, 0 deleted, 0 unchanged"
    assert store.labels() == {"bowl": 6, "cup": 7, "lamp": 6}
    # The folder of a class says nothing about the pictures in it, only about folders below.
    store, changes = index(model, photos / "cup", tmp_path / "store")
    assert changes == "0 added, 0 replaced, 1 relabelled, 0 deleted, 6 unchanged"
    # New content and another class: both are counted.
    shutil.copy(photos / "cup" / "0.png", photos / "cup" / "deep" / "0.png")
    store, changes = index(model, photos, tmp_path / "store")
    assert changes == "0 added, 1 replaced, 1 relabelled, 0 deleted, 18 unchanged"
