"""`gcahng data verify` as a user meets them."""

from pathlib import Path
from typing import Any

import pytest

from gcahng.data import CUB, Size
from tests.data.trees import cub_tree, folder_tree, inshop_tree
from tests.gcahng.test_cli import _run


@pytest.fixture
def cub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CUB that is as large as it should be."""
    monkeypatch.setattr(CUB, "expected", {"train": Size(6, 3), "test": Size(4, 2)})
    cub_tree(tmp_path)
    return tmp_path


def test_a_sound_data_set(
    cub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GCAHNG_DATA", str(cub))
    assert _run(monkeypatch, "data", "verify", "cub") == 0
    shown = capsys.readouterr().out
    assert "No problems found." in shown
    assert ["train", "6", "6", "3", "3"] in [line.split() for line in shown.splitlines()]


def test_a_broken_one_says_what_and_where(
    cub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, *_ = sorted((cub / "CUB_200_2011" / "images").rglob("*.jpg"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:300])
    assert _run(monkeypatch, "data", "verify", "cub", "--root", cub) == 1
    shown = capsys.readouterr().out
    assert shown.count("wrong: ") == 1
    assert first.name in shown
    assert second.name in shown
    assert "No problems found." not in shown
    assert "get it again: Get CUB_200_2011.tgz from https://data.caltech.edu" in shown


def test_queries_and_gallery_are_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inshop_tree(tmp_path)
    assert _run(monkeypatch, "data", "verify", "inshop", "--root", tmp_path) == 1
    shown = capsys.readouterr().out
    assert "14218" in shown
    assert "gallery" in shown


def test_ones_own_folder_takes_its_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_tree(tmp_path, classes="abcdefghij")
    arguments = ["data", "verify", "folder", "--root", tmp_path, "test_share=0.2"]
    assert _run(monkeypatch, *arguments) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["train", "16", "–", "8", "–"] in rows
    assert ["test", "4", "–", "2", "–"] in rows


def test_the_home_folder_may_be_written_as_a_tilde(
    cub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(cub))
    assert _run(monkeypatch, "data", "verify", "cub", "--root", "~") == 0


def test_download_is_asked_for(
    cub: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fetched(_: Any, root: Path) -> Path:
        return root / "CUB_200_2011"

    monkeypatch.setattr("gcahng.data.download", fetched)
    assert _run(monkeypatch, "data", "verify", "cub", "--root", cub, "--download") == 0
    assert f"cub is in {cub / 'CUB_200_2011'}" in capsys.readouterr().out


MISTAKES = [
    (["data", "verify", "cup"], "unknown data set 'cup' (did you mean 'cub'?)"),
    (["data", "verify", "cub", "--root", "nowhere"], "There is no CUB in 'nowhere'"),
    (["data", "verify", "cars", "--download"], "Cars must be downloaded by hand"),
    (["data", "verify", "inshop", "--download"], "InShop must be downloaded by hand"),
    (["data", "verify", "glyphs", "--download"], "Glyphs has nothing to download"),
    (["data", "verify", "folder", "share=1"], "data set 'folder' takes no 'share'"),
    (["data", "verify", "folder", "share"], "expected key.path=value"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES, ids=lambda value: str(value)[:40])
def test_mistakes_are_one_sentence(
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(monkeypatch, *arguments) == 1
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert len(error.splitlines()) == 1


HOSTILE = [
    ("folder", "test_share=half", "data set 'folder': test_share: expected a number"),
    ("folder", "test_share=.nan", "Expected a test share between 0 and 1 (got nan)"),
    ("folder", "path=[a]", "data set 'folder': path: expected text, got ['a']"),
    ("folder", "seed=-1", "Expected a seed of 0 or more for the test split"),
    ("folder", "root=x", "data set 'folder' takes no 'root'; it takes unreadable, path, test_"),
    ("digits", "name=x", "data set 'digits' takes no 'name'; it takes no arguments"),
    ("csv", "crop=1", "data set 'csv': crop: expected true or false"),
]


@pytest.mark.parametrize(("name", "setting", "sentence"), HOSTILE)
def test_hostile_arguments_are_one_sentence(
    name: str,
    setting: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    folder_tree(tmp_path / "photos", "abcd")
    assert _run(monkeypatch, "data", "verify", name, "--root", tmp_path / "photos", setting) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {sentence}")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
