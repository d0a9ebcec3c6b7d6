"""A study in a database: a real PostgreSQL where Debian's is installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState
from rich.console import Console

from gcahng.studies.storage import open_storage, open_trials
from gcahng.studies.tune import tune
from tests.gcahng.studies.tuning.conftest import STUDY, WriteStudy, start_second

pytestmark = pytest.mark.slow
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of a new server, which can be reached by a socket in its folder only."""
    pytest.importorskip("psycopg")
    if not SERVERS:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    # A short path, as that of a socket must be; PostgreSQL does not run as root.
    folder, programs = Path(tempfile.mkdtemp(prefix="pg-")), SERVERS[-1]
    user = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        user = ["runuser", "-u", "postgres", "--"]
    control = [*user, programs / "pg_ctl", "-D", folder / "data", "-w"]
    options = f"-c listen_addresses= -c unix_socket_directories={folder}"
    new = [*user, programs / "initdb", "-D", folder / "data", "-U", "tuner", "-A", "trust"]
    quiet = subprocess.DEVNULL
    try:
        subprocess.run(new, check=True, cwd=folder, stdout=quiet)
        start = [*control, "-l", folder / "log", "-o", options, "start"]
        subprocess.run(start, check=True, cwd=folder, stdout=quiet)
        yield f"postgresql+psycopg://tuner@/postgres?host={folder}"
    finally:
        stop = [*control, "-m", "immediate", "stop"]
        subprocess.run(stop, check=False, cwd="/", stdout=quiet, stderr=quiet)
        shutil.rmtree(folder)


@pytest.mark.usefixtures("fake_train")
def test_a_study_in_postgresql(write_study: WriteStudy, console: Console, database: str) -> None:
    Path("pause").write_text("0.1")
    text = STUDY.replace("trials", "prune: false\ntrials")
    assert tune(write_study(text, trials=1), console, database)
    study = write_study(text)
    with start_second(database) as other:
        assert tune(study, console, database)
        theirs, _ = other.communicate(timeout=60)
    assert other.returncode == 0, theirs
    storage = open_storage(study, database)
    trials = open_trials(study, study.rivals["study"], storage).trials
    assert [trial.state for trial in trials[:6]] == [TrialState.COMPLETE] * 6
    trained = Path("trained").read_text().splitlines()
    assert len(trained) == len(set(trained)) == 6, "each trial once"


def test_a_database_that_cannot_be_opened_keeps_its_password(
    write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(url: str, **_: object) -> None:
        raise RuntimeError(f"no server at {url}")

    monkeypatch.setattr("gcahng.studies.storage.RDBStorage", refuse)
    with pytest.raises(ValueError, match="cannot be opened") as info:
        open_storage(write_study(), "postgresql://me:secret@host/base")
    assert str(info.value) == "--storage: the database cannot be opened (RuntimeError)"
