"""Studies from their first trial to their report; alone, interrupted, and by two processes."""

import csv
import shutil
import signal
import time
from pathlib import Path

import pytest
from rich.console import Console

from gcahng.config import load_config
from gcahng.studies.tune import tune
from tests.gcahng.studies.conftest import STUDY, WriteStudy, start_second

pytestmark = pytest.mark.slow
FOLDER = Path("runs/studies/study")


def _rows() -> list[dict[str, str]]:
    with (FOLDER / "study.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("fake_trial", "heeds_interrupts")
def test_a_study_ends_with_a_table_a_page_and_an_experiment(
    write_study: WriteStudy, console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_study(STUDY.replace("trials", "seeds: 2\ntrials"))
    assert tune(study, console)
    rows = _rows()
    assert [row["trial"] for row in rows] == [str(number) for number in range(6)]
    best = max(rows, key=lambda row: float(row["value"] or 0))
    config = load_config(FOLDER / "best-study.yaml")
    assert config.optim.embedder.lr == float(best["optim.embedder.lr"])
    assert (config.name, config.seed) == ("study-best", 2)
    shown = capsys.readouterr().out
    assert f"MAP@R {100 * float(best['value']):.2f} %" in shown
    text = (FOLDER / "study.md").read_text()
    assert f"| study | {100 * float(best['value']):.2f} |" in text
    assert "| features before training | 25.00 |" in text
    assert "rival" not in shown + text, "the base alone has none"
    assert "python -m gcahng train runs/studies/study/best-study.yaml" in text
    page = (FOLDER / "study.html").read_text()
    assert "http" not in page.split("</head>")[1]
    # Figures are kept, weights are not.
    assert len(list(FOLDER.glob("trials/*/seed*/metrics.csv"))) > 6
    assert not list(FOLDER.glob("trials/*/seed*/checkpoints"))
    assert not list(FOLDER.glob("trials/*/seed*/*.safetensors"))


@pytest.mark.usefixtures("fake_trial", "heeds_interrupts")
def test_a_study_goes_on_where_it_stopped(write_study: WriteStudy, console: Console) -> None:
    assert tune(write_study(trials=3), console)
    first = _rows()
    with (FOLDER / "journal.log").open("ab") as journal:
        journal.write(b'{"op_code":2,"half')  # of a process that was killed
    assert tune(write_study(), console)
    assert _rows()[:3] == first
    trained = Path("trained").read_text().splitlines()
    assert len(trained) == len(set(trained)) == 6
    # The same settings are drawn without the interruption.
    drawn = [row["optim.embedder.lr"] for row in _rows()]
    shutil.rmtree(FOLDER)
    assert tune(write_study(), console)
    assert [row["optim.embedder.lr"] for row in _rows()] == drawn
    with pytest.raises(ValueError, match=r"begun with another train.epochs of 'study': give"):
        tune(write_study(STUDY.replace("epochs: 2", "epochs: 3")), console)


@pytest.mark.usefixtures("fake_trial", "heeds_interrupts")
def test_a_failed_trial_takes_nothing_along(
    write_study: WriteStudy, console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("fail_above").write_text("1e-3")
    assert tune(write_study(), console)
    failed = [row for row in _rows() if row["state"] == "fail"]
    assert 0 < len(failed) < 6
    assert {row["reason"] for row in failed} == {"training diverged"}
    assert "FAILED: training diverged" in capsys.readouterr().out
    number = failed[0]["trial"]
    assert f"- trial {number}: training diverged\n" in (FOLDER / "study.md").read_text()


@pytest.mark.usefixtures("fake_trial", "heeds_interrupts")
def test_what_falls_behind_is_stopped(write_study: WriteStudy, console: Console) -> None:
    Path("behind").write_text("4")
    assert tune(write_study(), console)
    assert [row["state"] for row in _rows()] == ["complete"] * 4 + ["pruned"] * 2
    ended = [file.parent.parent.name for file in FOLDER.glob("trials/*/seed0/results.json")]
    assert sorted(ended) == [f"study-{number:04d}" for number in range(4)]


@pytest.mark.usefixtures("fake_trial", "heeds_interrupts")
def test_two_processes_share_a_journal(write_study: WriteStudy, console: Console) -> None:
    Path("pause").write_text("0.1")
    study = write_study(STUDY.replace("trials", "prune: false\ntrials"))
    with start_second("study") as other:
        assert tune(study, console)
        theirs, _ = other.communicate(timeout=60)
    assert other.returncode == 0, theirs
    trained = Path("trained").read_text().splitlines()
    assert len(trained) == len(set(trained)) == 6, "each trial once"
    assert [row["state"] for row in _rows()] == ["complete"] * 6
    assert "MAP@R" in theirs


@pytest.mark.usefixtures("fake_trial", "heeds_interrupts")
def test_an_interrupted_study_says_how_to_go_on(write_study: WriteStudy, console: Console) -> None:
    Path("pause").write_text("30")
    write_study(trials=1)
    with start_second("study") as other:
        while other.poll() is None and not Path("trained").exists():
            time.sleep(0.02)
        other.send_signal(signal.SIGINT)
        shown, _ = other.communicate(timeout=60)
    assert other.returncode == 130
    assert "study.md; the same command continues it" in shown.splitlines()[-1]
    Path("pause").write_text("0")
    assert tune(write_study(trials=1), console)
    assert [row["state"] for row in _rows()] == ["complete"]


def test_digits_are_tuned(write_study: WriteStudy, console: Console) -> None:
    """The whole way, once, and the training of the best."""
    assert tune(write_study(trials=2), console)
    assert [row["state"] for row in _rows()] == ["complete"] * 2
    assert load_config(FOLDER / "best-study.yaml").embedder.dim == 8
