"""What tests of several rooms share: trained once, however many processes run the tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

# A training of seconds: every part of a run, small.
SMALL = ["train.epochs=3", "batch.samples=3", "embedder.dim=8"]


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def make_once(shared_folder: Path) -> Callable[[str, Callable[[Path], object]], Path]:
    """Make a folder by the first process that asks for it; tests must not change what is in it."""

    def make(name: str, build: Callable[[Path], object]) -> Path:
        folder, done = shared_folder / name, shared_folder / f"{name}.done"
        with FileLock(shared_folder / f"{name}.lock"):
            if not done.exists():
                build(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def digits_run(make_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A finished run on digits with its report, as `gcahng train digits` leaves it."""

    def train(folder: Path) -> None:
        from gcahng.commands.train import start_run
        from gcahng.config import load_config
        from gcahng.runs.folder import RunFolder

        start_run(load_config("digits", SMALL), RunFolder(folder))

    return make_once("digits-seed0", train)
