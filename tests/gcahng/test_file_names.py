"""Names of files and classes that are not UTF-8 go through every command."""

import csv
import os
from pathlib import Path

import pytest

from tests.conftest import Call
from tests.data.trees import folder_tree, photo
from tests.gcahng.builders.test_images import SMALL

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


def test_a_training_with_its_report_and_pictures(photos: Path, tmp_path: Path, call: Call) -> None:
    run = tmp_path / "run"
    overrides = [*SMALL, "data.validation=0.5"]
    for command in (
        ("train", "photos", *overrides, "--run", run),
        ("visualize", run),
    ):
        said = call(*command)
        assert said.status == 0
        assert "error" not in said.err
    assert "\\udc" in (run / "report.html").read_text(encoding="utf-8")
    for table in run.rglob("*.csv"):
        assert list(csv.reader(table.open(encoding="utf-8")))


def test_verify_names_a_broken_file(photos: Path, call: Call) -> None:
    (photos / CLASSES[0] / os.fsdecode(b"\xe9.jpg")).write_bytes(b"no picture")
    said = call("data", "verify", "folder")
    assert said.status == 1
    named = "fot\\udcf3s/caf\\udce9/\\udce9.jpg (not an image in a known format)"
    assert named in said.out.replace("\n", "")


def test_a_run_folder_must_be_utf_8(photos: Path, tmp_path: Path, call: Call) -> None:
    run = tmp_path / os.fsdecode(b"r\xfbn")
    said = call("train", "photos", *SMALL, "--run", run)
    assert said.status == 1
    assert f"'{tmp_path}/r\\udcfbn' is not in UTF-8, which TensorBoard's files need" in said.err
    assert not run.exists()
