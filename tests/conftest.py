"""What tests of several rooms share: trained once, however many processes run the tests."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from filelock import FileLock

# A training of seconds: every part of a run, small.
SMALL = ["train.epochs=3", "batch.samples=3", "embedder.dim=8"]
# The same for photos, without negatives.
SMALL_PHOTOS = [
    "data.validation=0",
    "batch.classes=2",
    "batch.samples=2",
    "train={epochs: 1, warmup_epochs: 0}",
    "embedder.dim=8",
    "embedder.freeze=[]",
    "embedder.backbone={name: small_conv, args: {in_channels: 3, channels: [8], strides: [4]}}",
    "generator=null",
    "data.transform.train.size=32",
    "data.transform.test.size=32",
    "data.workers=0",
]


class Said(NamedTuple):
    """How a command line ended, and what it printed."""

    status: int
    out: str
    err: str


Call = Callable[..., Said]
MakeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run a command line in this process."""

    def run(*arguments: object) -> Said:
        from gcahng import cli

        monkeypatch.setattr(sys, "argv", ["gcahng", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return Said(int(end.value.code or 0), *capfd.readouterr())

    return run


@pytest.fixture(autouse=True)
def forget_modules_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Modules that a test wrote and imported are gone after it, as another has one of that name."""
    before = set(sys.modules)
    yield
    written = str(tmp_path_factory.getbasetemp())
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(written):
            del sys.modules[name]


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run share, whether pytest-xdist is there or not."""
    base = tmp_path_factory.getbasetemp()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "master")
    folder = (base if worker == "master" else base.parent) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(shared_folder: Path) -> Iterator[None]:
    """What tests compute once is not kept with the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GCAHNG_CACHE", str(shared_folder / "cache"))
        yield


@pytest.fixture(scope="session")
def make_once(shared_folder: Path) -> MakeOnce:
    """Make a folder by the first process that asks for it; tests must not change what is in it.

    A folder that could not be made is deleted, so the next test that asks for it makes a whole one.
    """

    def make(name: str, build: Callable[[Path], object]) -> Path:
        folder, done = shared_folder / name, shared_folder / f"{name}.done"
        with FileLock(shared_folder / f"{name}.lock"):
            if not done.exists():
                try:
                    build(folder)
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def digits_run(make_once: MakeOnce) -> Path:
    """A finished run on digits with its report, as `gcahng train digits` leaves it."""

    def train(folder: Path) -> None:
        from gcahng.commands.run import start_run
        from gcahng.config import load_config
        from gcahng.runs.folder import RunFolder

        start_run(load_config("digits", SMALL), RunFolder(folder))

    return make_once("digits-seed0", train)


@pytest.fixture(scope="session")
def held_out_run(make_once: MakeOnce) -> Path:
    """A run on digits with two of five classes held out, in batches of 3 × 3 images."""

    def train(folder: Path) -> None:
        from tests.gcahng.training.test_trainer import _trainer

        settings = ["train.epochs=2", "data.validation=0.4", "batch.classes=3"]
        _trainer(folder, *settings).fit()

    return make_once("held-out-run", train)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """An installed Chromium; without one, the tests that use it are skipped."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'"
    )
    if program is None:
        pytest.skip(f"no browser: install one of {', '.join(names)} or set CHROMIUM to its path")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()
