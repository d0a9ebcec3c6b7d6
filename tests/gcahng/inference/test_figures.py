"""The figures that go with a shared model are those of exactly its weights."""

import json
import shutil
from pathlib import Path

import pytest

from gcahng import load_run
from gcahng.inference.share import figures_of, save_model
from gcahng.runs.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    """A copy of a run, to change."""
    return Path(shutil.copytree(digits_run, tmp_path / "run"))


def change_results(run: Path, **values: object) -> None:
    results = json.loads((run / "results.json").read_text())
    kept = {name: value for name, value in {**results, **values}.items() if value is not None}
    (run / "results.json").write_text(json.dumps(kept))


def test_figures_of_the_best_and_the_last_epoch(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    change_results(run, best_epoch=2, date="2026-03-04")
    state = load_checkpoint(run / "checkpoints" / "best.pt")
    save_checkpoint(run / "checkpoints" / "best.pt", state | {"epoch": 2})
    best = figures_of(load_run(run))
    assert best is not None
    gain = 100 * results["gain/map@r"]
    assert f"its features before training: MAP@R {gain:+.2f} [" in best["verdict"]
    optimistic = "ON THE TEST SPLIT: these figures are optimistic."
    assert best == {
        "dataset": "digits",
        "split": "test",
        "date": "2026-03-04",
        "epoch": 2,
        "selected": f"Best epoch chosen by map@r {optimistic}",
        "metrics": {
            name.removeprefix("best/"): value
            for name, value in results.items()
            if name.startswith("best/")
        },
        "train_classes": 5,
        "train_images": 901,
        "test_classes": 5,
        "test_images": 896,
        "verdict": best["verdict"],
    }
    last = figures_of(load_run(run, last=True))
    assert last is not None
    assert (last["epoch"], last["selected"]) == (3, "The last epoch.")
    assert last["metrics"]["map@r"] == results["last/map@r"]
    # The weights beside the results are those of the best epoch.
    assert figures_of(load_run(run / "model.safetensors")) == best


def test_remarks_about_classes_trained_on(run: Path) -> None:
    change_results(run, test_classes_trained_on=3)
    figures = figures_of(load_run(run, last=True))
    assert figures is not None
    assert "Closed set: 3 of 5 test classes were trained on" in figures["selected"]


def test_a_checkpoint_that_was_not_measured(run: Path) -> None:
    state = load_checkpoint(run / "checkpoints" / "last.pt")
    save_checkpoint(run / "checkpoints" / "epoch-99.pt", state | {"epoch": 99})
    assert figures_of(load_run(run / "checkpoints" / "epoch-99.pt")) is None
    (run / "results.json").unlink()
    assert figures_of(load_run(run)) is None


def test_a_shared_model_keeps_its_figures(run: Path, tmp_path: Path) -> None:
    save_model(load_run(run), tmp_path / "shared")
    assert figures_of(load_run(tmp_path / "shared")) == figures_of(load_run(run))
