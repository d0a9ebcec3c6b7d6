"""Opening runs and checkpoints, right and wrong."""

from pathlib import Path

import pytest
import torch

from gcahng import load_run
from gcahng.checkpoint import load_checkpoint, random_states, restore_random_states, save_checkpoint
from tests.gcahng.test_trainer import _trainer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trainer = _trainer(tmp_path_factory.mktemp("run"), "train.epochs=2")
    trainer.fit()
    return trainer.folder.path


def test_load_run_gives_the_trained_embedder(run: Path) -> None:
    loaded = load_run(run, last=True)
    assert loaded.epoch == 2
    assert loaded.config.data.name == "digits"
    assert not loaded.embedder.training
    state = load_checkpoint(run / "checkpoints" / "last.pt")["embedder"]
    assert all(torch.equal(v, state[n]) for n, v in loaded.embedder.state_dict().items())
    assert load_run(run / "checkpoints" / "last.pt").epoch == 2


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
    with pytest.raises(ValueError, match="damaged or holds more than weights"):
        load_run(path)


def test_random_states_are_restored(tmp_path: Path) -> None:
    import random

    import numpy as np

    save_checkpoint(tmp_path / "x.pt", {"config": "", "embedder": {}})
    expected = (random.random(), np.random.rand(), float(torch.rand(())))
    state = load_checkpoint(tmp_path / "x.pt")
    restore_random_states(state["random"])
    assert (random.random(), np.random.rand(), float(torch.rand(()))) == expected
    assert random_states().keys() >= {"python", "numpy", "torch"}
