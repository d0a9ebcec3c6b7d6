"""Run commands that must be refused: one sentence, and nothing left behind."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gcahng import cli

FILES = {
    "file": "just text",
    "empty": "",
    "list": "- 1\n",
    "twice": "base: digits\nseed: 1\nseed: 2\n",
    "unmoved": "base: digits\ngenerator: {name: unmoved, args: {alpha: 9.0}}\n",
    "grid_key": "base: digits\nreference: a\ncells: {a: {nope: 1}}\n",
    "grid_vain": (
        "base: digits\nreference: a\n"
        "cells: {a: {}, b: {generator: {name: unmoved, args: {alpha: 9.0}}}}\n"
    ),
}

Refused = Callable[[str, str], None]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, digits_run: Path) -> Path:
    """A folder with a run, files of every wrong kind, and an empty folder to work in."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "run").symlink_to(digits_run)
    for name, text in FILES.items():
        (folder / f"{name}.yaml").write_text(text)
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\0")
    (folder / "nothing").mkdir()
    (folder / "garbage.pt").write_bytes(b"garbage" * 100)
    checkpoint = digits_run / "checkpoints" / "last.pt"
    (folder / "half.pt").write_bytes(checkpoint.read_bytes()[:20_000])
    state = torch.load(checkpoint, weights_only=True)
    state["config"] = state["config"].replace("name: gca_hng", "name: evil:X")
    torch.save(state, folder / "evil.pt")
    broken = folder / "broken"
    broken.mkdir()
    (broken / "config.yaml").write_text("- 1\n")
    (broken / "environment.json").write_text("{}")
    return folder


@pytest.fixture
def refused(
    stage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """Run a command line in the stage; check that it is refused with a sentence."""

    def check(line: str, sentence: str) -> None:
        monkeypatch.chdir(stage)
        before = sorted(stage.rglob("*"))
        arguments = [part.replace("_SPACE_", " ") for part in line.split()]
        monkeypatch.setattr(sys, "argv", ["gcahng", *arguments])
        with pytest.raises(SystemExit) as info:
            cli.main()
        lines = capsys.readouterr().err.strip().splitlines()
        if info.value.code == 2:
            # Click's own: how the command is used, then what is wrong.
            lines = [one for one in lines if one.startswith("Error: ")]
        assert info.value.code in (1, 2)
        assert len(lines) == 1, lines
        assert lines[0].lower().startswith("error: ")
        assert sentence in lines[0]
        assert sorted(stage.rglob("*")) == before, "something is left behind"

    return check
