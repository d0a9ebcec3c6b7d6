"""Runs as jobs of SLURM, here with the executor of submitit that stays on this machine."""

import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from gcahng import cli
from gcahng.jobs.claim import claim_holder
from gcahng.jobs.process import Started, start_process
from gcahng.jobs.slurm import submitit_launcher
from gcahng.reasons import install_extra
from gcahng.studies.ablate import run_grid
from gcahng.studies.run import grid_runs
from tests.gcahng.studies.conftest import TWO_CELLS, WriteGrid

LOCAL = {"cluster": "local"}


@pytest.mark.slow
@pytest.mark.usefixtures("fake_train")
def test_runs_are_jobs(write_grid: WriteGrid, console: Console) -> None:
    pytest.importorskip("submitit")
    text = TWO_CELLS.replace("full: {}", "bad: {optim.embedder.lr: 1e30}")
    grid = write_grid(text.replace("npair: {g", "killed: {optim.embedder.lr: 9.0}, npair: {g"), 1)
    assert not run_grid(grid, console, slurm={**LOCAL, "minutes": "5", "partition": "gpu"})
    killed, npair, bad = grid_runs(grid)
    assert npair.finished
    assert bad.status()[1] == "training diverged in step 2"
    assert killed.status()[1] == "its process was ended by signal 9 (Killed)"
    assert list((grid.folder / "slurm").glob("*_result.pkl"))
    assert all(claim_holder(run.claim) is None for run in (killed, npair, bad))


LAUNCHED = {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "RANK", "WORLD_SIZE", "MASTER_PORT"}
PRINT = [sys.executable, "-c", "import os; print(*os.environ, 'MORE=' + os.environ['MORE'])"]


def _status(process: Started) -> int:
    while (status := process.poll()) is None:
        time.sleep(0.02)
    return status


@pytest.mark.parametrize("job", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_process_does_not_take_itself_for_one_of_several(
    job: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the second of two tasks that srun or torchrun has started."""
    for name in LAUNCHED:
        monkeypatch.setenv(name, "2")
    if job:
        pytest.importorskip("submitit")
    launch = submitit_launcher(tmp_path, LOCAL) if job else start_process
    assert _status(launch("name", PRINT, {"MORE": "1"}, tmp_path / "log")) == 0
    names = (tmp_path / "log").read_text().split()
    assert names[-1] == "MORE=1"
    assert not LAUNCHED & set(names)


@pytest.mark.slow
def test_a_job_without_a_result_says_how_it_ended(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    launch = submitit_launcher(tmp_path, LOCAL)
    log, started = tmp_path / "log", tmp_path / "started"
    code = f"import time; open({str(started)!r}, 'w').close(); time.sleep(60)"
    # A job is cancelled by the signal that tests in the background ignore, and pass on.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        job = launch("name", [sys.executable, "-c", code], {}, log)
    finally:
        signal.signal(signal.SIGINT, before)
    # To cancel it before it has begun may have no effect.
    while not started.exists():
        assert job.poll() is None
        time.sleep(0.05)
    job.send_signal(signal.SIGTERM)
    assert _status(job) == 1
    assert log.read_text().splitlines()[-1].startswith("its job ")


SUBMITIT = ["--launcher", "submitit"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--slurm", "minutes=90"], "--slurm goes with --launcher submitit"),
        ([*SUBMITIT, "--slurm", "minutes"], "--slurm: expected KEY=VALUE"),
        ([*SUBMITIT, "--slurm", "minutes=1.5"], "--slurm: minutes: expected a whole number"),
        ([*SUBMITIT, "--slurm", "partiton=gpu"], "--slurm: unknown option 'partiton' (did you "),
        ([*SUBMITIT, "--slurm", "cluster=moon"], "--slurm: cluster: expected"),
        (SUBMITIT, "--launcher submitit: there is no SLURM"),
    ],
)
def test_mistakes(
    options: list[str],
    sentence: str,
    write_grid: WriteGrid,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("submitit")
    if shutil.which("srun"):
        pytest.skip("there is a SLURM")
    write_grid()
    monkeypatch.setattr(sys, "argv", ["gcahng", "ablate", "grid.yaml", *options])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err.startswith(f"error: {sentence}")
    assert not Path("runs").exists()
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ImportError, match=re.escape(install_extra("slurm"))):
        submitit_launcher(Path("slurm"), LOCAL)
