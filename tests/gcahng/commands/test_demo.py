"""The demo's recipes side by side, on digits and shortened."""

from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from gcahng.commands import demo
from gcahng.config import ExperimentConfig, load_config

SHORT = ["train.epochs=1", "batch.samples=3", "embedder.dim=8"]


def _short(config: str, overrides: list[str]) -> ExperimentConfig:
    without = ["generator=null"] if "npair" in config else []
    return load_config("digits", [*SHORT, *without, *overrides])


def test_recipes_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(demo, "load_config", _short)
    run = partial(demo.run_demo, 1, tmp_path / "results", Console(width=100))
    run()
    shown = capsys.readouterr().out
    page = (tmp_path / "runs" / "report.html").read_text(encoding="utf-8")
    table = (tmp_path / "results" / "quickstart.md").read_text(encoding="utf-8")
    for recipe in demo.RECIPES:
        assert (tmp_path / "runs" / f"{recipe.name}-seed0" / "results.json").is_file()
        assert recipe.title in shown
        assert recipe.title in page
        assert recipe.title in table
    assert "report.html" in shown.splitlines()[-1]
    # The demo owns its folders: a second one replaces what the first left.
    run()
