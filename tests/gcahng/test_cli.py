"""The command line as a user meets it: figures, pictures, and one sentence for each mistake."""

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gcahng import __version__, cli
from gcahng.config import load_config
from tests.conftest import SMALL_PHOTOS, Call
from tests.data.trees import folder_tree

SMALL = ["train.epochs=1", "batch.samples=3", "embedder.dim=8"]


@pytest.fixture(scope="module")
def run(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run on digits, to change at will."""
    return Path(shutil.copytree(digits_run, tmp_path_factory.mktemp("cli") / "run"))


def test_train_writes_a_report(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "https://" not in page
    assert 'src="http' not in page
    assert page.count("data:image/png") > 40, "the gallery shows queries and neighbours"
    assert "TEST SPLIT" in page, "digits choose the best epoch on the test split"


@pytest.mark.slow
def test_a_report_can_wait(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    begin = ["train", "digits", *SMALL, "--no-report", "--run", folder]
    # A job that is queued again finds the run finished.
    for arguments in (begin, [*begin, "--resume", "auto"]):
        said = f"report: not written; gcahng train --resume {folder} writes it\n"
        assert call(*arguments).out.endswith(said)
        assert not (folder / "report.html").exists()
    figures = json.loads((folder / "results.json").read_text())
    said = call("train", "--resume", folder).out
    assert said.endswith(f"report: {folder / 'report.html'}\n")
    assert "Nearest neighbours" in (folder / "report.html").read_text(encoding="utf-8")
    assert json.loads((folder / "results.json").read_text()) == figures


def test_evaluate_repeats_the_figures(run: Path, call: Call) -> None:
    results = json.loads((run / "results.json").read_text())
    for source, epoch in ((run, "best"), (run / "checkpoints" / "last.pt", "last")):
        assert f"{100 * results[f'{epoch}/map@r']:.2f}" in call("evaluate", source).out


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_photo_is_one_sentence_with_its_path(
    workers: int, call: Call, tmp_path: Path
) -> None:
    for split in ("train", "test"):
        folder_tree(tmp_path / "photos" / split, [f"{split} {c}" for c in "abc"], images=3)
    # All but the first and the last, which are tried at the start.
    for bad in sorted((tmp_path / "photos" / "train").rglob("*.jpg"))[1:-1]:
        bad.write_bytes(bad.read_bytes()[:200])
    arguments = ["train", "photos", f"data.root={tmp_path / 'photos'}", *SMALL_PHOTOS]
    said = call(*arguments, f"data.workers={workers}", "--run", tmp_path / "run")
    error = said.err.strip().splitlines()[-1]
    assert error.startswith(f"error: Cannot read the image '{tmp_path / 'photos' / 'train'}")
    assert "Traceback" not in error
    assert "data.args.unreadable=skip" in error


def test_libraries_that_only_reports_need_are_loaded_with_them() -> None:
    code = (
        # Lightning Fabric looks for torchmetrics, which imports them.
        "import sys; sys.modules['torchmetrics'] = None\n"
        "import gcahng.training.trainer, gcahng.inference.indexing, gcahng.inference.store\n"
        "print(*{'matplotlib', 'networkx', 'scipy', 'sklearn'} & set(sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == ""


def test_the_version_is_printed(call: Call) -> None:
    assert call("--version") == (0, f"gcahng {__version__}\n", "")


def test_a_terminal_without_a_character_prints_the_rest(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="ascii"))
    assert call("config", "digits", "name=–").status == 0
    sys.stdout.flush()
    assert printed.getvalue().startswith(b"name: ?\nseed: 0\n"), "a dash"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_every_command_ends_with_a_sentence_at_a_signal(
    number: int, status: int, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(cli, "app", lambda: os.kill(os.getpid(), number))
    said = call("embed", "photos")
    signal.signal(signal.SIGINT, before)
    assert said.status == status
    assert said.err.endswith("; give the same command again\n")


class PanicException(BaseException):
    """As of libraries in Rust."""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PanicException("Failed to build runtime: Too many open files"), "ulimit -n"),
        (OSError(errno.EMFILE, "Too many open files", "a.npy"), "'a.npy': too many files"),
        (UnicodeEncodeError("ascii", "caf\xe9", 3, 4, ""), "write '\xe9': set PYTHONUTF8=1"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(
    error: BaseException, words: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    status, _, said = call("train", "digits")
    assert status == 1
    assert words in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("error", [RuntimeError("sizes differ"), KeyError("x")])
def test_a_bug_shows_its_traceback_and_asks_for_a_report(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(sys, "argv", ["gcahng"])
    with pytest.raises(type(error)):
        cli.main()
    assert "please report it" in capsys.readouterr().err


def test_a_value_error_is_a_sentence_only_if_it_is_ours(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "app", lambda: load_config("digits", ["seed=x"]))
    assert call().status == 1
    monkeypatch.setattr(cli, "app", lambda: json.loads("{"))
    with pytest.raises(ValueError, match="Expecting property name"):
        call()
