"""Classes and splits in a store are those of a training, and their changes are counted."""

import shutil
from pathlib import Path

from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.indexing import index_folder
from gcahng.inference.store import PictureStore
from tests.gcahng.inference.conftest import draw

ALL = 18


def index(model: TrainedEmbedder, photos: Path, store: Path) -> tuple[PictureStore, str]:
    made, changes = index_folder(model, photos, store)
    return made, str(changes)


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
