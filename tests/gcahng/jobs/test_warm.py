import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gcahng.jobs.process import FAILURE_FILE, GCAHNG, Started, child_environment, start_process
from gcahng.jobs.warm import WarmProcess, can_warm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_warm(), reason="trainings are forked on Linux without a GPU"),
]
TRAIN = [*GCAHNG, "train", "digits", "train.epochs=1", "--no-report", "--run"]
# Columns of metrics.csv that differ from run to run.
TIMES = ("seconds", "work")


def _status(process: Started) -> int:
    deadline = time.monotonic() + 300
    while (status := process.poll()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return status


def _figures(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def test_a_forked_training_is_that_of_a_new_process(tmp_path: Path) -> None:
    process = start_process([*TRAIN, str(tmp_path / "a")], {}, tmp_path / "log")
    assert isinstance(process, WarmProcess)
    command = [*TRAIN, str(tmp_path / "b")]
    subprocess.run(command, env=child_environment(), check=True, capture_output=True)
    assert _status(process) == 0, (tmp_path / "log").read_text()
    assert _figures(tmp_path / "a") == _figures(tmp_path / "b")


SCRIPT = """
import os, sys, time
from pathlib import Path
from gcahng.jobs.process import GCAHNG, start_process

print("once")
os.chdir(sys.argv[1])
command = [*GCAHNG, "train", "digits", "loss.name=own:Mine", "train.epochs=0", "--no-report"]
process = start_process([*command, "--run", "run"], {}, Path("log"))
while (status := process.poll()) is None:
    time.sleep(0.05)
sys.exit(status)
"""
OWN = """
import atexit
from pathlib import Path
from gcahng.losses import NPairLoss

atexit.register(Path("ended").touch)

class Mine(NPairLoss):
    pass
"""


def test_a_script_that_starts_a_training_is_run_once(tmp_path: Path) -> None:
    """The training has the script's folder, a class that is there, and what is done at the end."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (tmp_path / "script.py").write_text(SCRIPT)
    (folder / "own.py").write_text(OWN)
    command = [sys.executable, str(tmp_path / "script.py"), str(folder)]
    environment = child_environment({"PYTHONPATH": str(Path.cwd())})
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, (folder / "log").read_text()
    assert (run.stdout, run.stderr) == ("once\n", "")
    assert (folder / "run/results.json").exists()
    assert (folder / "ended").exists()


def test_ends_of_forked_trainings(tmp_path: Path) -> None:
    """A mistake, a signal and a crash take only the process that they reach."""
    log, failure = tmp_path / "log", tmp_path / "failed"
    wrong = [*GCAHNG, "train", "digits", "optim.lrr=1"]
    assert _status(start_process(wrong, {FAILURE_FILE: str(failure)}, log)) == 1
    assert "optim.lrr" in failure.read_text()
    assert failure.read_text().strip() in log.read_text()
    long = ["train.epochs=500", "--no-report", "--run"]
    command = [*GCAHNG, "train", "digits", *long]
    killed, stopped = (
        start_process([*command, str(tmp_path / name)], {}, tmp_path / f"{name}.log")
        for name in ("killed", "stopped")
    )
    while not (tmp_path / "stopped/metrics.csv").exists():
        assert stopped.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    assert _status(killed) == -signal.SIGKILL
    assert stopped.poll() is None
    stopped.send_signal(signal.SIGTERM)
    assert _status(stopped) == 75
    assert "stopped by a signal" in (tmp_path / "stopped.log").read_text()
