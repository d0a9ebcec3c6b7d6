"""Opening runs and checkpoints, right and wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from gcahng import load_run
from gcahng.commands.run import resume_run
from gcahng.inference.embed_data import embed_data
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.runs.checkpoint import (
    load_checkpoint,
    random_states,
    restore_random_states,
    save_checkpoint,
)
from gcahng.runs.embedding import load_generator
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import LoadedRun
from tests import limits


@pytest.fixture
def run(digits_run: Path) -> Path:
    return digits_run


def test_load_run_gives_the_trained_embedder(run: Path) -> None:
    loaded = load_run(run, last=True)
    assert loaded.epoch == 3
    assert loaded.config.data.name == "digits"
    assert not loaded.embedder.training
    state = load_checkpoint(run / "checkpoints" / "last.pt")["embedder"]
    assert all(torch.equal(v, state[n]) for n, v in loaded.embedder.state_dict().items())
    assert load_run(run / "checkpoints" / "last.pt").epoch == 3


def test_missing_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no run in .*neither checkpoints/best\.pt nor"):
        load_run(tmp_path)
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_run(tmp_path / "nothing")


def test_damaged_checkpoint(run: Path, tmp_path: Path) -> None:
    path, whole = tmp_path / "x.pt", (run / "checkpoints" / "last.pt").read_bytes()
    cut = [whole[:length] for length in (10, 5000, len(whole) // 2, len(whole) - 1)]
    for content in (b"", b"no checkpoint", b"a: [1", b"a,b\n1,2\n", b"PK\x03\x04 cut", *cut):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.pt' cannot be read as a checkpoint"):
            load_run(path)


def test_foreign_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"model": {}}, path)
    with pytest.raises(ValueError, match="not a checkpoint of gcahng"):
        load_run(path)
    torch.save({"format": 1, "config": "", "embedder": {}, "epoch": 1}, path)
    with pytest.raises(ValueError, match="written by another version of gcahng"):
        load_run(path)


def test_checkpoint_that_holds_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"config": "", "embedder": torch.nn.Linear(1, 1)}, path)
    with pytest.raises(ValueError, match=r"holds more than weights, torch\.nn\.modules"):
        load_run(path)


def test_random_states_are_restored(tmp_path: Path) -> None:
    import random

    import numpy as np

    cpu = torch.device("cpu")
    state = {"config": "", "embedder": {}, "epoch": 1, "random": random_states(cpu)}
    save_checkpoint(tmp_path / "x.pt", state)
    expected = (random.random(), np.random.rand(), float(torch.rand(())))
    restore_random_states(load_checkpoint(tmp_path / "x.pt")["random"], cpu)
    assert (random.random(), np.random.rand(), float(torch.rand(()))) == expected


EVIL = "evil:Thing"
# What a stranger's files may name, in the settings of the run or of its embedder, and who reads it.
STRANGERS: dict[str, tuple[dict[str, Any], Callable[[LoadedRun], object]]] = {
    "generator": ({"name": EVIL}, load_generator),
    "layer": ({"args": {"graph": {"conv": EVIL}}}, load_generator),
    "layers": ({"args": {"graph": {"layers": [{"name": EVIL}]}}}, load_generator),
    "data": ({"name": EVIL}, lambda run: embed_data(TrainedEmbedder(run))),
    "backbone": ({}, lambda run: run),
    "shared": ({}, lambda run: run),
}


@pytest.mark.parametrize("what", STRANGERS)
def test_code_named_by_a_stranger_is_not_imported(
    what: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text("import pathlib; pathlib.Path('ran').touch()")
    monkeypatch.chdir(tmp_path)
    section, read = STRANGERS[what]
    path, state = Path("x.pt"), load_checkpoint(run / "checkpoints" / "last.pt")
    if what == "shared":
        path = Path(shutil.copy(run / "model.safetensors", tmp_path))
        facts = json.loads((run / "config.json").read_text())
        facts["model"]["backbone"] = EVIL
        Path("config.json").write_text(json.dumps(facts))
    elif what == "backbone":
        state["spec"]["backbone"] = EVIL
    else:
        config = yaml.safe_load(state["config"])
        config["data" if what == "data" else "generator"] |= section
        state["config"] = yaml.safe_dump(config)
    save_checkpoint(Path("x.pt"), state)
    with pytest.raises(ValueError, match=f"' asks to import '{EVIL}', which runs .*--trust"):
        read(load_run(path))
    assert not Path("ran").exists()
    with pytest.raises(ValueError, match="has no class 'Thing'"):
        read(load_run(path, trust=True))
    assert Path("ran").exists()


def test_code_named_by_a_run_is_not_imported_to_continue_it(run: Path, tmp_path: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(run, tmp_path / "run")))
    config = yaml.safe_load(folder.config.read_text())
    folder.config.write_text(yaml.safe_dump(config | {"loss": {"name": "no_such:Loss"}}))
    with pytest.raises(ValueError, match=r"config\.yaml' asks to import 'no_such:Loss'.*--trust"):
        resume_run(folder)


def test_a_disk_that_takes_nothing_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"weight": torch.zeros(2)})
    before = path.read_bytes()
    refused = pytest.raises(OSError, match=r"^cannot write '.*last\.pt': .*--resume")
    with limits.file_size(100_000), refused:
        save_checkpoint(path, {"weight": torch.zeros(1_000_000)})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]
