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
from PIL import Image

from gcahng import __version__, cli
from gcahng.config import load_config
from tests.data.trees import folder_tree

SMALL = ["train.epochs=1", "batch.samples=3", "embedder.dim=8"]


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the command line in this process; its exit status."""
    monkeypatch.setattr(sys, "argv", ["gcahng", *map(str, arguments)])
    with pytest.raises(SystemExit) as info:
        cli.main()
    return int(info.value.code or 0)


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
def test_train_shows_figures(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "train", "--resume", run) == 0
    shown = capsys.readouterr().out
    results = json.loads((run / "results.json").read_text())
    assert f"{100 * results['last/recall@1']:.2f}" in shown
    assert "report.html" in shown


@pytest.mark.slow
def test_a_report_can_wait(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    begin = ["train", "digits", *SMALL, "--no-report", "--run", folder]
    # A job that is queued again finds the run finished.
    for arguments in (begin, [*begin, "--resume", "auto"]):
        assert _run(monkeypatch, *arguments) == 0
        assert not (folder / "report.html").exists()
        said = f"report: not written; gcahng train --resume {folder} writes it\n"
        assert capsys.readouterr().out.endswith(said)
    figures = json.loads((folder / "results.json").read_text())
    assert _run(monkeypatch, "train", "--resume", folder) == 0
    assert "Nearest neighbours" in (folder / "report.html").read_text(encoding="utf-8")
    assert json.loads((folder / "results.json").read_text()) == figures
    assert capsys.readouterr().out.endswith(f"report: {folder / 'report.html'}\n")


def test_evaluate_repeats_the_figures(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = json.loads((run / "results.json").read_text())
    for source, epoch in ((run, "best"), (run / "checkpoints" / "last.pt", "last")):
        assert _run(monkeypatch, "evaluate", source) == 0
        assert f"{100 * results[f'{epoch}/map@r']:.2f}" in capsys.readouterr().out


def test_data_show_writes_a_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    target = tmp_path / "sheet.png"
    assert _run(monkeypatch, "data", "show", "digits", "--out", target, "--classes", 3) == 0
    with Image.open(target) as picture:
        assert picture.width > 300


def test_evaluate_measures_the_split_that_chose(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "evaluate", run, "--split", "val") == 1
    assert "so it has no 'val'" in capsys.readouterr().err


PHOTOS = [
    "embedder.backbone={name: small_conv, args: {in_channels: 3, channels: [8], strides: [4]}}",
    "embedder.freeze=[]",
    "train={epochs: 1, warmup_epochs: 0}",
    "data.transform.train.size=32",
    "data.transform.test.size=32",
    "data.validation=0",
    "batch.classes=2",
]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_photo_is_one_sentence_with_its_path(
    workers: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for split in ("train", "test"):
        folder_tree(tmp_path / "photos" / split, [f"{split} {c}" for c in "abc"], images=3)
    # All but the first and the last, which are tried at the start.
    for bad in sorted((tmp_path / "photos" / "train").rglob("*.jpg"))[1:-1]:
        bad.write_bytes(bad.read_bytes()[:200])
    arguments = ["train", "photos", f"data.root={tmp_path / 'photos'}", *PHOTOS]
    assert _run(monkeypatch, *arguments, f"data.workers={workers}", "--run", tmp_path / "run") == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"error: Cannot read the image '{tmp_path / 'photos' / 'train'}")
    assert "Traceback" not in error
    assert "data.args.unreadable=skip" in error


def test_a_small_gallery_still_makes_a_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder_tree(tmp_path / "photos", "abcd", images=2)
    arguments = ["train", "photos", f"data.root={tmp_path / 'photos'}", "data.workers=0"]
    assert _run(monkeypatch, *arguments, *PHOTOS, "--run", tmp_path / "run") == 0
    assert (tmp_path / "run" / "report.html").exists()


def test_help_has_examples_and_does_not_load_torch() -> None:
    code = (
        "import sys; from gcahng.cli import main; sys.argv = ['gcahng', 'train', '--help']\n"
        "try: main()\nexcept SystemExit: assert 'torch' not in sys.modules"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "Example: gcahng train quickstart" in answer.stdout


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


def test_the_version_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"gcahng {__version__}\n"


@pytest.mark.parametrize(
    "line",
    [
        "data verify digits",
        "data show digits --classes 2 --out {folder}/sheet.png",
        "evaluate {run}",
        "visualize {run} --out {folder}/pictures",
        "ablate ablations/quickstart --dry-run",
    ],
)
def test_a_terminal_without_a_character_prints_the_rest(
    line: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="ascii"))
    assert _run(monkeypatch, *line.format(run=run, folder=tmp_path).split()) == 0
    sys.stdout.flush()
    assert printed.getvalue()
    if line == "data verify digits":
        assert b"?" in printed.getvalue(), "a dash in the table"
        assert b"No problems" in printed.getvalue()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_every_command_ends_with_a_sentence_at_a_signal(
    number: int,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(cli, "app", lambda: os.kill(os.getpid(), number))
    assert _run(monkeypatch, "embed", "photos") == status
    signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.endswith("; give the same command again\n")


def test_a_locale_that_cannot_name_a_file_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(name: str) -> None:
        name.encode("ascii")

    monkeypatch.setattr(cli, "app", lambda: fail("caf\xe9"))
    assert _run(monkeypatch, "train", "digits") == 1
    assert capsys.readouterr().err == (
        "error: this locale's ascii cannot write '\xe9': set PYTHONUTF8=1\n"
    )


class PanicException(BaseException):
    """As of libraries in Rust."""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PanicException("Failed to build runtime: Too many open files"), "ulimit -n"),
        (OSError(errno.EMFILE, "Too many open files", "a.npy"), "'a.npy': too many files"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(
    error: BaseException,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert _run(monkeypatch, "train", "digits") == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "error", [RuntimeError("sizes differ"), AssertionError(), KeyError("x"), ZeroDivisionError()]
)
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


def test_a_value_error_is_a_sentence_only_if_it_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", lambda: load_config("digits", ["seed=x"]))
    assert _run(monkeypatch) == 1
    monkeypatch.setattr(cli, "app", lambda: json.loads("{"))
    with pytest.raises(ValueError, match="Expecting property name"):
        cli.main()
