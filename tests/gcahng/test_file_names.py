"""Names of files and classes that are not UTF-8 go through every command."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.trees import folder_tree, photo
from tests.gcahng.builders.test_images import SMALL
from tests.gcahng.test_cli import _run

pytestmark = pytest.mark.slow

CLASSES = [os.fsdecode(name) for name in (b"caf\xe9", b"b\xe4r", b"f\xff")]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and classes with names in Latin-1, where data sets are searched."""
    root = tmp_path / os.fsdecode(b"fot\xf3s")
    folder_tree(root, [*CLASSES, *"cdegh"], images=4)
    photo(root / CLASSES[0] / os.fsdecode(b"\xe9.jpg"), 1)
    monkeypatch.setenv("GCAHNG_DATA", str(root))
    return root


def test_a_training_with_its_report_and_pictures(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    overrides = [*SMALL, "data.validation=0.5"]
    assert _run(monkeypatch, "train", "photos", *overrides, "--run", run) == 0
    drawn = ("--export", "graphml", "--export", "gexf", "--tensorboard")
    assert _run(monkeypatch, "visualize", run, *drawn) == 0
    assert _run(monkeypatch, "data", "show", "folder", "--out", tmp_path / "sheet.png") == 0
    assert capsys.readouterr().err.count("error") == 0
    assert "\\udc" in (run / "report.html").read_text(encoding="utf-8")
    names = {path.read_text(encoding="utf-8") for path in run.rglob("metadata.tsv")}
    assert any("\\udc" in text for text in names)
    for table in run.rglob("*.csv"):
        assert list(csv.reader(table.open(encoding="utf-8")))


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_verify_names_a_broken_file(photos: Path, encoding: str) -> None:
    broken = photos / CLASSES[0] / os.fsdecode(b"\xe9.jpg")
    broken.write_bytes(b"no picture")
    found = subprocess.run(
        [sys.executable, "-m", "gcahng", "data", "verify", "folder"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert found.returncode == 1
    assert b"Traceback" not in found.stderr
    shown = found.stdout.decode(encoding)
    assert "fot\\udcf3s/caf\\udce9/\\udce9.jpg (not an image in a known format)" in shown


def test_a_run_folder_must_be_utf_8(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / os.fsdecode(b"r\xfbn")
    assert _run(monkeypatch, "train", "photos", *SMALL, "--run", run) == 1
    assert capsys.readouterr().err == (
        f"error: '{tmp_path}/r\\udcfbn' is not in UTF-8, which TensorBoard's files need: choose "
        "another folder with --run\n"
    )
    assert not run.exists()
