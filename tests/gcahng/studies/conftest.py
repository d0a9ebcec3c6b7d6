"""Grids and studies of digits, and trainings that end at once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gcahng.config import dump_config
from gcahng.files import write_text
from gcahng.jobs import pool
from gcahng.runs.checkpoint import save_checkpoint
from gcahng.runs.folder import RunFolder
from gcahng.studies import ablate, schedule
from gcahng.studies.grid import Grid, read_grid
from gcahng.studies.report import describe_grid
from gcahng.studies.run import CellRun
from gcahng.studies.summary import summarize

HEAD = """\
base: digits
reference: npair
settings: {train.epochs: 2, batch.samples: 3, embedder.dim: 8}
"""
TWO_CELLS = HEAD + "seeds: 2\ncells: {npair: {generator: null}, full: {}}\n"

WriteGrid = Callable[..., Grid]
WriteStudy = Callable[..., Any]

# Stands in for `gcahng train`. The learning rate tells it what to do.
FAKE_TRAIN = """
import json, os, pathlib, re, shutil, sys, time
folder = pathlib.Path(sys.argv[-1])
continued = (folder / "checkpoints" / "last.pt").exists()
(folder / "checkpoints").mkdir(parents=True, exist_ok=True)
if not continued:
    shutil.copy(sys.argv[1], folder / "config.yaml")
text = (folder / "config.yaml").read_text()
with open("trained", "a") as file:
    print(folder.name, file=file)
shutil.copy("last.pt", folder / "checkpoints" / "last.pt")
verb = "continued" if continued else "started"
print(verb, "with threads:", os.environ["OMP_NUM_THREADS"], flush=True)
rate = float(re.search("embedder:\\n    lr: (.*)", text)[1])
if rate == 1e30:
    pathlib.Path(os.environ["GCAHNG_FAILURE_FILE"]).write_text("training diverged\\n  in step 2")
    sys.exit(1)
if rate == 9.0:
    os.kill(os.getpid(), 9)
if rate == 5.0 and not continued:
    time.sleep(60)
epochs = int(re.search("epochs: (.*)", text)[1])
start = time.time()
time.sleep(0.3 if rate == 3.0 else 0)
pace = 1.0 if "generator: null" in text else 2.0
rows = [f"{pace * (epoch + 1)}" for epoch in range(epochs)]
(folder / "metrics.csv").write_text("\\n".join(["seconds", *rows, ""]))
figures = {"recall@1": 0.5, "map@r": 0.25}
results = {f"{which}/{k}": v for which in ("last", "best") for k, v in figures.items()}
results |= {"best_epoch": 1, "selected_on": "test", "selected_by": "recall@1", "epochs": epochs}
results |= {"own_validation": False, "seconds": pace * epochs, "peak_memory_mib": 1.0}
results |= {"from": start, "to": time.time()}
(folder / "results.json").write_text(json.dumps(results))
"""


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

# Stands in for the training of a trial: the learning rate 1e-3 is best. It fails above
# `fail_above`. From trial `behind` on, its figures are low and it does not end by itself.
FAKE_TRIAL = """
import json, math, os, pathlib, re, sys, time
settings = pathlib.Path(sys.argv[1])
folder = pathlib.Path(sys.argv[-1])
text = settings.read_text()
with open("trained", "a") as file:
    print(folder, file=file)
rate = float(re.search("embedder:\\n    lr: (.*)", text)[1])
if rate > float(pathlib.Path("fail_above").read_text()):
    pathlib.Path(os.environ["GCAHNG_FAILURE_FILE"]).write_text("training diverged")
    sys.exit(1)
(folder / "checkpoints").mkdir(parents=True, exist_ok=True)
(folder / "checkpoints" / "last.pt").touch()
(folder / "model.safetensors").touch()
pause = float(pathlib.Path("pause").read_text())
value = 1 - abs(math.log10(rate) + 3) / 4
behind = int(folder.parent.name[-4:]) >= int(pathlib.Path("behind").read_text())
value = 0.1 if behind else value
for epoch in (1, 2, 3):
    rows = [f"{e},{value * e / 3}" for e in range(1, epoch + 1)]
    (folder / "part").write_text("\\n".join(["epoch,val/map@r", *rows, ""]))
    (folder / "part").replace(folder / "metrics.csv")
    time.sleep(pause)
while behind:
    time.sleep(1)
(folder / "config.yaml").touch()
start = {"zero_shot/val/features/map@r": 0.25, "zero_shot/val/head/map@r": 0.125}
(folder / "results.json").write_text(json.dumps({"best_epoch": 3, "epochs": 3, **start}))
"""

# A second process on the same work, as the fixtures set up the first one.
SECOND = """
import sys
from rich.console import Console
from gcahng.jobs import pool
from gcahng.studies import ablate, read_grid, schedule
from tests.gcahng.studies.conftest import report_without_pictures
pool.COMMAND = (sys.executable, "-S", "-E", "fake_train.py")
schedule.POLL, schedule.LOOK = 0.01, 0.1
ablate.report_grid = report_without_pictures
print("ready", flush=True)
if len(sys.argv) == 1:
    sys.exit(not ablate.run_grid(read_grid("grid.yaml"), Console(width=110), jobs=1))
from gcahng.studies.study import read_study
from gcahng.studies.tune import tune
sys.exit(not tune(read_study("study.yaml"), Console(width=110)))
"""


@pytest.fixture
def write_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteGrid:
    """Write a grid into a fresh current folder, so that error sentences have short paths."""
    monkeypatch.chdir(tmp_path)

    def _write(text: str = TWO_CELLS, seeds: int | None = None) -> Grid:
        Path("grid.yaml").write_text(text, encoding="utf-8")
        return read_grid("grid.yaml", seeds)

    return _write


@pytest.fixture
def write_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteStudy:
    """Write a study, as `write_grid`."""
    from gcahng.studies.study import read_study

    monkeypatch.chdir(tmp_path)

    def _write(text: str = STUDY, trials: int | None = None) -> Any:
        Path("study.yaml").write_text(text, encoding="utf-8")
        return read_study("study.yaml", trials)

    return _write


@pytest.fixture
def fake_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_grid: WriteGrid) -> None:
    """Processes that finish at once, checked often, and reports without pictures."""
    (tmp_path / "fake_train.py").write_text(FAKE_TRAIN)
    state = {"config": "", "embedder": {}, "epoch": 1, "num_classes": 5}
    save_checkpoint(tmp_path / "last.pt", state)
    # Without its site, Python starts faster.
    monkeypatch.setattr(pool, "COMMAND", (sys.executable, "-S", "-E", "fake_train.py"))
    monkeypatch.setattr(schedule, "POLL", 0.01)
    monkeypatch.setattr(schedule, "LOOK", 0.1)
    monkeypatch.setattr(ablate, "report_grid", report_without_pictures)


@pytest.fixture
def fake_trial(fake_train: None, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("fake_train.py").write_text(FAKE_TRIAL)
    for name, text in {"fail_above": "inf", "pause": "0", "behind": "9999"}.items():
        Path(name).write_text(text)
    monkeypatch.setattr(pool, "PATIENCE", 0.1)


def report_without_pictures(grid: Grid, out: Path | None = None) -> Path:
    """The Markdown of a report, which takes no time to draw."""
    target = (out or grid.folder) / f"{grid.name}.md"
    write_text(target, "\n".join(describe_grid(grid, summarize(grid))))
    return target


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """Tests in the background ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def console() -> Console:
    return Console(width=110)


def start_second(*arguments: str) -> subprocess.Popen[str]:
    """Start a second process, in a session of its own, and wait until it starts its work."""
    process = subprocess.Popen(
        [sys.executable, "-c", SECOND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        # A process that a shell put in the background ignores Ctrl-C, and so would this one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(
    run: CellRun,
    recall: float,
    seconds: float = 10.0,
    start: Mapping[str, float] | None = None,
) -> None:
    """Leave what a run leaves that has trained one epoch.

    Args:
        run: The run.
        recall: R@1; MAP@R is half of it.
        seconds: How long it trained.
        start: R@1 of `features` and `head` before training.
    """
    config = run.config()
    assert config is not None
    folder: RunFolder = run.folder
    figures = {"recall@1": recall, "map@r": recall / 2}
    results = {f"{which}/{k}": v for which in ("last", "best") for k, v in figures.items()}
    results |= {"epochs": 1, "best_epoch": 1, "seconds": seconds, "peak_memory_mib": 1.0}
    settings = dump_config(config)
    state = {"config": settings, "embedder": {}, "epoch": 1, "num_classes": 5}
    save_checkpoint(folder.last, state)
    folder.config.write_text(settings)
    folder.write_metrics([{"epoch": 1, "seconds": seconds}])
    results |= {"embedder_parameters": 56552, "generator_parameters": 0}
    for source, value in (start or {}).items():
        results |= {f"zero_shot/{source}/recall@1": value, f"zero_shot/{source}/map@r": value / 2}
    selection = {"selected_on": "val", "selected_by": "recall@1", "own_validation": False}
    folder.write_results({**results, **selection})


def results_of(run: CellRun) -> dict[str, float]:
    return json.loads(run.folder.results.read_text())
