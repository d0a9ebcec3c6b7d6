"""A study's journal after a full disk, a crash, or with another file in its place."""

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from gcahng.studies.storage import open_journal

Change = Callable[[bytes], bytes]
LINE = b'{"op_code":2,"worker_id":"w","study_id":0,"user_attr":{"half":1}}'


def _trials(file: Path, more: int = 0) -> list[float]:
    """Open the study in a journal, add trials, and return all values."""
    study = optuna.create_study(storage=open_journal(file), study_name="s", load_if_exists=True)
    for number in range(more):
        study.tell(study.ask(), float(number))
    return [trial.value for trial in study.trials if trial.value is not None]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    assert _trials(tmp_path / "journal.log", more=2) == [0.0, 1.0]
    return tmp_path / "journal.log"


@pytest.mark.parametrize("end", [0, 5, len(LINE) - 1])
def test_half_a_line_at_the_end_is_dropped(file: Path, end: int) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole + LINE[:end])
    assert _trials(file, more=1) == [0.0, 1.0, 0.0]


def test_half_a_line_of_another_process_is_dropped_before_the_next(file: Path) -> None:
    study = optuna.load_study(storage=open_journal(file), study_name="s")
    with file.open("ab") as other:
        other.write(LINE[:20])
    study.tell(study.ask(), 5.0)
    assert _trials(file) == [0.0, 1.0, 5.0]


def test_a_full_disk_is_named_and_leaves_no_half_line(file: Path) -> None:
    study = optuna.load_study(storage=open_journal(file), study_name="s")
    whole = file.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # The system takes the first 20 bytes of the next line and refuses the rest.
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, limit[1]))
    try:
        with pytest.raises(OSError, match="larger than the system allows"):
            study.ask()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert file.read_bytes() == whole
    assert os.listdir(file.parent) == [file.name], "the lock is free"
    study.tell(study.ask(), 5.0)
    assert _trials(file) == [0.0, 1.0, 5.0]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content + b"\0" * 40,
        lambda content: content.replace(b"op_code", b"code", 1),
        lambda content: b"my notes, without an end of line",
        lambda content: content + b'{"op_code":77,"worker_id":"w"}\n',
    ],
)
def test_other_damage_is_one_sentence_and_changes_nothing(change: Change, file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(change(content))
    with pytest.raises(ValueError, match=r"^--storage: .* is damaged") as info:
        _trials(file)
    assert f"'{file}'" in str(info.value)
    assert file.read_bytes() == change(content)
    assert os.listdir(file.parent) == [file.name], "the lock is free"
