"""`gcahng data verify` as a user meets it; what it refuses is in `test_hostile_commands`."""

from pathlib import Path

import pytest

from gcahng.data import CUB, Size
from tests.conftest import Call
from tests.data.trees import cub_tree, folder_tree, inshop_tree


@pytest.fixture
def cub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CUB that is as large as it should be."""
    monkeypatch.setattr(CUB, "expected", {"train": Size(6, 3), "test": Size(4, 2)})
    cub_tree(tmp_path)
    return tmp_path


def test_a_sound_data_set(cub: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCAHNG_DATA", str(cub))
    said = call("data", "verify", "cub")
    assert said.status == 0
    assert "No problems found." in said.out
    assert ["train", "6", "3"] in [line.split() for line in said.out.splitlines()]
    monkeypatch.delenv("GCAHNG_DATA")
    monkeypatch.setenv("HOME", str(cub))
    assert call("data", "verify", "cub", "--root", "~").status == 0


def test_a_broken_one_says_what_and_where(cub: Path, call: Call) -> None:
    first, second, *_ = sorted((cub / "CUB_200_2011" / "images").rglob("*.jpg"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:300])
    status, shown, _ = call("data", "verify", "cub", "--root", cub)
    assert status == 1
    assert shown.count("wrong: ") == 1
    assert first.name in shown
    assert second.name in shown
    assert "No problems found." not in shown
    assert "get it again: Get CUB_200_2011.tgz from https://data.caltech.edu" in shown


def test_queries_and_gallery_are_parts(call: Call, tmp_path: Path) -> None:
    inshop_tree(tmp_path)
    said = call("data", "verify", "inshop", "--root", tmp_path)
    assert said.status == 1
    assert "14218" in said.out
    assert "gallery" in said.out


def test_ones_own_folder_takes_its_arguments(call: Call, tmp_path: Path) -> None:
    folder_tree(tmp_path, classes="abcdefghij")
    said = call("data", "verify", "folder", "--root", tmp_path, "test_share=0.2")
    rows = [line.split() for line in said.out.splitlines()]
    assert said.status == 0
    assert ["train", "16", "8"] in rows
    assert ["test", "4", "2"] in rows
