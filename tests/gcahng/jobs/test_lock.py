"""One process at a time in a folder."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gcahng.jobs.claim import LOCK, exclusive_lock, file_lock
from gcahng.runs.folder import RunFolder
from tests.conftest import SMALL, Call


def test_a_second_holder_is_refused_and_the_first_keeps_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with exclusive_lock(folder):
        (folder / "file").touch()
        for _ in range(2):
            with pytest.raises(ValueError, match="in use by another"), exclusive_lock(folder):
                pass
        assert (folder / LOCK).exists()
    assert [file.name for file in folder.iterdir()] == ["file"]


def test_the_lock_ends_with_its_process_and_whoever_waits_gets_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from gcahng.jobs.claim import exclusive_lock\n"
        "with exclusive_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="in use"), exclusive_lock(tmp_path):
            pass
        threading.Timer(0.2, process.kill).start()
        with file_lock(tmp_path / LOCK, wait=True):
            assert process.wait() < 0


@pytest.mark.parametrize("resume", [False, True])
def test_two_trainings_in_one_folder(
    resume: bool, digits_run: Path, tmp_path: Path, call: Call
) -> None:
    folder = RunFolder(tmp_path / "run")
    arguments = ["digits", *SMALL, "--run", folder.path]
    if resume:
        folder.path.mkdir()
        folder.config.write_bytes(RunFolder(digits_run).config.read_bytes())
        arguments = ["--resume", folder.path]
    with exclusive_lock(folder.path):
        said = call("train", *arguments)
    assert said.status == 1
    assert f"error: '{folder.path}' is in use by another process" in said.err
    assert not folder.last.exists()


def test_folders_made_for_the_lock_alone_are_removed(tmp_path: Path) -> None:
    with pytest.raises(KeyError), exclusive_lock(tmp_path / "runs" / "one"):
        raise KeyError
    assert not list(tmp_path.iterdir())
    (tmp_path / "runs").mkdir()
    with exclusive_lock(tmp_path / "runs" / "one"):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["runs"], "it was there before"
