"""The grid of `make demo`, on digits and shortened: the table, the page and what it repeats."""

import json
import re
import sys
from pathlib import Path

import pytest

from gcahng.commands.terminal import console
from gcahng.config.layers import find_config
from gcahng.jobs import pool
from gcahng.studies import ablate, read_grid, run_grid
from tests.gcahng.reports.test_page import Page
from tests.gcahng.studies.conftest import report_without_pictures
from tests.gcahng.training.test_trainer import _trainer

pytestmark = pytest.mark.slow

GRID = "ablations/demo"
SHORT = ["train.epochs=1", "batch.samples=3", "embedder.dim=8"]
# Stands in for `gcahng train`: copies a run that is trained already.
COPY = """
import json, pathlib, re, shutil, sys
config, folder = map(pathlib.Path, (sys.argv[1], sys.argv[-1]))
text = config.read_text()
shutil.copytree("npair" if "generator: null" in text else "full", folder)
shutil.copy(config, folder / "config.yaml")
results = json.loads((folder / "results.json").read_text())
results["epochs"] = int(re.search("epochs: (.*)", text)[1])
(folder / "results.json").write_text(json.dumps(results))
"""


def test_the_grid_has_the_controls_of_the_full_recipe() -> None:
    found = read_grid(GRID)
    npair, full = found.cells["N-pair"].config, found.cells["GCA-HNG"].config
    assert npair == full.model_copy(update={"name": "N-pair", "generator": None})
    assert found.cells["N-pair, as long as GCA-HNG"].waits_for == ("N-pair", "GCA-HNG")
    assert found.reference == "N-pair"


@pytest.fixture
def digits_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's grid with digits for glyphs, and with runs of one epoch that are trained here."""
    monkeypatch.chdir(tmp_path)
    text = find_config(GRID).read_text(encoding="utf-8")
    text = re.sub(r"  N-pair \+ node CE:\n.*\n", "", text)
    text = text.replace("../demo.yaml", "digits")
    settings = ", ".join(setting.replace("=", ": ") for setting in SHORT)
    Path("demo.yaml").write_text(f"{text}settings: {{{settings}}}\n", encoding="utf-8")
    for name, recipe in (("npair", ["generator=null"]), ("full", [])):
        _trainer(tmp_path / name, *SHORT, *recipe).fit()
    (tmp_path / "copy_run.py").write_text(COPY)
    monkeypatch.setattr(pool, "COMMAND", (sys.executable, "-S", "copy_run.py"))


@pytest.mark.usefixtures("digits_grid")
def test_recipes_side_by_side(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_grid(read_grid("demo.yaml", seeds=1), console, out="results")
    shown = capsys.readouterr().out
    assert "runs finished before" not in shown
    assert shown.splitlines()[-1].endswith("results/demo.html")
    assert "features before training" in shown
    text = Path("results/demo.html").read_text(encoding="utf-8")
    cells = Page(text).cells()
    assert any(cell.startswith("Seconds: mean training time") for cell in cells)
    table = Path("results/demo.md").read_text(encoding="utf-8")
    names = ("N-pair", "GCA-HNG", "N-pair, as long as GCA-HNG")
    assert all(f"| {name} | 1 |" in table for name in names)
    starts = ("features before training", "head before training")
    assert all(f"| {name} | 1 |" in table for name in starts)
    run = Path("runs/ablations/demo/N-pair_as_long_as_GCA-HNG-seed0")
    results = json.loads((run / "results.json").read_text())
    assert results["epochs"] > 1
    monkeypatch.setattr(ablate, "report_grid", report_without_pictures)
    assert run_grid(read_grid("demo.yaml", seeds=1), console)
    assert "3 of 3 runs finished before; in " in capsys.readouterr().out
