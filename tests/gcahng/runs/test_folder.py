"""The folder of a run: when it is free for a new one."""

from pathlib import Path

import pytest

from gcahng.config import load_config
from gcahng.runs import folder
from gcahng.runs.folder import RunFolder
from tests.conftest import SMALL


def test_existing_run_is_not_overwritten(digits_run: Path) -> None:
    with pytest.raises(FileExistsError, match=r"already holds a run.*--resume"):
        RunFolder(digits_run).create(load_config("digits", SMALL))


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    config = load_config("digits", SMALL)
    (tmp_path / "config.yaml").write_text("my: precious")
    with pytest.raises(FileExistsError, match=r"holds 'config\.yaml', which is not of a run"):
        RunFolder(tmp_path).create(config)
    assert (tmp_path / "config.yaml").read_text() == "my: precious"
    with pytest.raises(FileExistsError, match="is a file"):
        RunFolder(tmp_path / "config.yaml").create(config)
    with pytest.raises(ValueError, match="is not in UTF-8, which TensorBoard's files need"):
        RunFolder(tmp_path / "run\udcff").create(config)


def test_a_run_that_never_began_may_begin_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.create(load_config("digits", SMALL))
    run.create(load_config("digits", [*SMALL, "seed=1"]))
    assert "seed: 1" in run.config.read_text()


def test_a_run_of_another_version_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("{name: old, passes: one, layers: 2}")
    with pytest.raises(ValueError, match="that this version of gcahng cannot read") as info:
        RunFolder(tmp_path).read_config()
    assert len(str(info.value).splitlines()) == 1


def test_the_commit_is_that_of_a_checkout_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages" / "gcahng" / "runs" / "folder.py"
    installed.parent.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(folder, "__file__", str(installed))
    assert folder.environment()["commit"] is None
