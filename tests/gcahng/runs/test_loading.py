"""Opening runs and checkpoints, right and wrong."""

import shutil
from pathlib import Path

import pytest
import torch

from gcahng import load_run
from gcahng.runs.checkpoint import (
    load_checkpoint,
    random_states,
    restore_random_states,
    save_checkpoint,
)


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


def test_shared_model_alone(run: Path, tmp_path: Path) -> None:
    for name in ("model.safetensors", "config.json"):
        shutil.copy(run / name, tmp_path)
    shared = load_run(tmp_path / "model.safetensors")
    state = load_run(run).embedder.state_dict()
    assert all(torch.equal(v, state[n]) for n, v in shared.embedder.state_dict().items())
    (tmp_path / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json' is missing"):
        load_run(tmp_path / "model.safetensors")


def test_model_of_another_shape(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "model.safetensors", tmp_path)
    settings = (run / "config.json").read_text().replace('"dim": 8', '"dim": 16')
    (tmp_path / "config.json").write_text(settings)
    with pytest.raises(ValueError, match="does not fit the embedder of its configuration"):
        load_run(tmp_path / "model.safetensors")


def test_cut_off_checkpoint(run: Path, tmp_path: Path) -> None:
    whole = (run / "checkpoints" / "last.pt").read_bytes()
    for length in (10, 5000, len(whole) // 2, len(whole) - 1):
        path = tmp_path / "x.pt"
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
            load_run(path)


def test_missing_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no run in .*it has no best\.pt"):
        load_run(tmp_path)
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_run(tmp_path / "nothing")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_damaged_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.pt' cannot be read as a checkpoint"):
        load_run(path)


def test_foreign_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"model": {}}, path)
    with pytest.raises(ValueError, match="not a checkpoint of gcahng"):
        load_run(path)


def test_checkpoint_that_holds_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"config": "", "embedder": torch.nn.Linear(1, 1)}, path)
    with pytest.raises(ValueError, match="damaged, truncated or holds more than weights"):
        load_run(path)


def test_random_states_are_restored(tmp_path: Path) -> None:
    import random

    import numpy as np

    save_checkpoint(tmp_path / "x.pt", {"config": "", "embedder": {}, "epoch": 1})
    expected = (random.random(), np.random.rand(), float(torch.rand(())))
    state = load_checkpoint(tmp_path / "x.pt")
    restore_random_states(state["random"])
    assert (random.random(), np.random.rand(), float(torch.rand(()))) == expected
    assert random_states().keys() >= {"python", "numpy", "torch"}
