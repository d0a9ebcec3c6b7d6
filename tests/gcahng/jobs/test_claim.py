"""One process at a time has a claim, on any machine, and one that died loses it."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gcahng.jobs import claim as module
from gcahng.jobs.claim import CLAIM_FILE, Claim, claim_holder, keep_claim, take_claim

HOLD = (
    "import sys, time; from pathlib import Path; from gcahng.jobs import claim\n"
    "claim.PERIOD = 0.1\n"
    "assert claim.take_claim(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PERIOD", 0.1)


def _age(claim: Path) -> None:
    """As if its holder had died long ago."""
    os.utime(claim, (1.0, 1.0))


def _wait_until_touched(claim: Path) -> None:
    while claim.stat().st_mtime == 1.0:
        time.sleep(0.01)


def test_one_holder_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "claims" / "a.b-seed0"
    first = take_claim(path)
    assert first is not None
    assert take_claim(path) is None
    other = take_claim(path.with_name("a.b-seed1"))
    assert other is not None
    with monkeypatch.context() as patch:  # age goes by the clock of the file system
        patch.setattr(time, "time", lambda: 4e9)
        assert take_claim(path) is None
    assert (claim_holder(path) or "").endswith(f", process {os.getpid()}")
    first.release()
    assert claim_holder(path) is None
    again = take_claim(path)
    assert again is not None
    names = sorted(file.name for file in path.parent.glob("a.b-seed0*"))
    assert names == ["a.b-seed0.1", "a.b-seed0.2"]
    again.release()
    other.release()


def test_a_living_holder_keeps_it_and_a_dead_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "work"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        _age(tmp_path / "work.1")
        _wait_until_touched(tmp_path / "work.1")
        assert take_claim(path) is None
        process.kill()
        process.wait()
    assert take_claim(path) is None, "its holder may be alive"
    _age(tmp_path / "work.1")
    taken = take_claim(path)
    assert taken is not None
    taken.release()


def test_of_many_that_take_over_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "work"
    for _ in range(5):
        barrier, taken = threading.Barrier(8), []

        def contend(barrier: threading.Barrier = barrier, taken: list[Claim] = taken) -> None:
            barrier.wait()
            if claim := take_claim(path):
                taken.append(claim)

        threads = [threading.Thread(target=contend) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 1
        taken[0].stop()
        _age(taken[0].file)


def test_a_training_keeps_the_claim_of_who_started_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "work"
    claim = take_claim(path)
    assert claim is not None
    claim.stop()
    monkeypatch.setenv(CLAIM_FILE, str(claim.file))
    with keep_claim():
        _age(claim.file)
        _wait_until_touched(claim.file)
        assert take_claim(path) is None
    _age(claim.file)
    other = take_claim(path)
    assert other is not None
    # Not an error of the run, which would be kept in a file and mark it as failed.
    with pytest.raises(SystemExit) as info, keep_claim():
        pass
    assert info.value.code == 1
    assert capsys.readouterr().err == "error: another process has taken this run over\n"
    other.release()


def test_a_training_ends_when_its_claim_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "work"
    claim = take_claim(path)
    assert claim is not None
    claim.stop()
    code = (
        "import time; from gcahng.jobs import claim\nclaim.PERIOD = 0.1\n"
        "with claim.keep_claim(): print('kept', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, CLAIM_FILE: str(claim.file)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept\n"
        (tmp_path / "work.2").touch()
        _, error = process.communicate(timeout=30)
    assert process.returncode == 1
    assert error == "error: another process has taken this run over\n"
