"""Grids of digits, and runs that finish without training."""

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

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


@pytest.fixture
def write_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteGrid:
    """Write a grid into a fresh current folder, so that error sentences have short paths."""
    monkeypatch.chdir(tmp_path)

    def _write(text: str = TWO_CELLS, seeds: int | None = None) -> Grid:
        Path("grid.yaml").write_text(text, encoding="utf-8")
        return read_grid("grid.yaml", seeds)

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
    monkeypatch.setattr(ablate, "report_grid", report_without_pictures)


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
