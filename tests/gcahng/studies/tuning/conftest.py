"""Studies of digits, and trainings that end at once."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from gcahng.jobs import pool
from gcahng.studies import schedule
from gcahng.studies.study import Study, read_study

STUDY = """\
base: digits
trials: 6
settings:
  train.epochs: 2
  generator: null
  data.validation: 0.4
  batch: {classes: 3, samples: 3}
  embedder.dim: 8
search:
  optim.embedder.lr: {low: 1e-4, high: 1e-2, log: true}
"""

# Stands in for `gcahng train`: the learning rate 1e-3 is best. It fails above `fail_above`, and
# leaves with a status of `leave` as long as there is one. From trial `behind` on, its figures are
# low and it does not end by itself.
FAKE_TRAIN = """
import json, math, os, pathlib, re, sys, time
settings = pathlib.Path(sys.argv[1])
folder = pathlib.Path(sys.argv[-1])
text = settings.read_text()
with open("trained", "a") as file:
    print(folder, file=file)
rate = float(re.search("embedder:\\\\n    lr: (.*)", text)[1])
if rate > float(pathlib.Path("fail_above").read_text()):
    pathlib.Path(os.environ["GCAHNG_FAILURE_FILE"]).write_text("training diverged")
    sys.exit(1)
(folder / "checkpoints").mkdir(parents=True, exist_ok=True)
(folder / "checkpoints" / "last.pt").touch()
first, *others = pathlib.Path("leave").read_text().split() or ["0"]
pathlib.Path("leave").write_text(" ".join(others))
if int(first):
    sys.exit(int(first))
(folder / "model.safetensors").touch()
pause = float(pathlib.Path("pause").read_text())
value = 1 - abs(math.log10(rate) + 3) / 4
behind = int(folder.parent.name[-4:]) >= int(pathlib.Path("behind").read_text())
value = 0.1 if behind else value
for epoch in (1, 2, 3):
    rows = [f"{e},{value * e / 3}" for e in range(1, epoch + 1)]
    (folder / "metrics.csv").write_text("\\\\n".join(["epoch,val/map@r", *rows, ""]))
    time.sleep(pause)
while behind:
    time.sleep(1)
(folder / "config.yaml").touch()
start = {"zero_shot/val/features/map@r": 0.25, "zero_shot/val/head/map@r": 0.125}
(folder / "results.json").write_text(json.dumps({"best_epoch": 3, "epochs": 3, **start}))
"""

# A second process on the same study, as the fixtures set up the first one.
SECOND = """
import sys
from rich.console import Console
from gcahng.jobs import pool
from gcahng.studies import schedule
from gcahng.studies.study import read_study
from gcahng.studies.tune import tune
pool.COMMAND = (sys.executable, "-S", "-E", "fake_train.py")
schedule.POLL, schedule.LOOK = 0.02, 0.1
print("ready", flush=True)
sys.exit(not tune(read_study("study.yaml"), Console(width=110)))
"""

WriteStudy = Callable[..., Study]


@pytest.fixture(autouse=True)
def _heeds_interrupts() -> Iterator[None]:
    """Tests in the background ignore Ctrl-C, and so would the trainings that they stop by it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def write_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteStudy:
    """Write a study into a fresh current folder, so that error sentences have short paths."""
    monkeypatch.chdir(tmp_path)

    def _write(text: str = STUDY, trials: int | None = None) -> Study:
        Path("study.yaml").write_text(text, encoding="utf-8")
        return read_study("study.yaml", trials)

    return _write


@pytest.fixture
def fake_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_study: WriteStudy) -> None:
    (tmp_path / "fake_train.py").write_text(FAKE_TRAIN.replace("\\\\", "\\"))
    (tmp_path / "fail_above").write_text("inf")
    (tmp_path / "pause").write_text("0")
    (tmp_path / "leave").write_text("")
    (tmp_path / "behind").write_text("9999")
    monkeypatch.setattr(pool, "COMMAND", (sys.executable, "-S", "-E", "fake_train.py"))
    monkeypatch.setattr(pool, "PATIENCE", 0.1)
    monkeypatch.setattr(schedule, "POLL", 0.02)
    monkeypatch.setattr(schedule, "LOOK", 0.1)


@pytest.fixture
def console() -> Console:
    return Console(width=110)


def start_second() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SECOND],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A process that a shell put in the background ignores Ctrl-C, and so would this one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process
