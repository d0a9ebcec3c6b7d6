"""Where a study's trials are kept: a journal file, or a database that many machines reach."""

import json
import os
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from gcahng.config import changed_experiment, dump_config, parse_config
from gcahng.files import append, check_folder
from gcahng.studies.study import Rival, Study

DATABASES = ("postgresql", "mysql", "mariadb")
EXPERIMENT = "experiment"
# Seconds after which the lock of a process that died is freed; writing takes milliseconds.
LOCK_PATIENCE = 30
# What every line of Optuna's journal begins with.
START = b'{"op_code":'
# What Optuna raises for lines that are damaged, or do not follow from those before them.
_UNFIT = (AssertionError, AttributeError, KeyError, IndexError, TypeError, ValueError)


def open_storage(study: Study, where: str | None) -> BaseStorage:
    """Open the storage of a study's trials.

    Args:
        study: The study.
        where: A file, or the URL of a PostgreSQL or MySQL database; None: a journal in the study's
            folder.

    Raises:
        ValueError: If the file is damaged, or the database is of another kind or out of reach.
        ImportError: If its driver is missing.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if where is None or "://" not in where:
        file = Path(where) if where else study.folder / "journal.log"
        if file.is_dir():
            raise ValueError(f"--storage: '{file}' is a folder; name a file")
        check_folder(file.parent, "--storage")
        file.parent.mkdir(parents=True, exist_ok=True)
        return open_journal(file)
    kind = where.partition(":")[0].partition("+")[0]
    if kind not in DATABASES:
        raise ValueError(
            f"--storage: expected a file or the URL of a database ({', '.join(DATABASES)}), got "
            f"{kind}://…; SQLite is not safe on a shared folder, a file of ours is"
        )
    try:
        return RDBStorage(where, skip_compatibility_check=False)
    except ImportError as error:
        raise ImportError(f"--storage: {' '.join(str(error).split())}") from None
    except Exception as error:
        # Of the driver, which tells its classes only to those who import it. It may hold the
        # password, so only its kind is shown.
        reason = type(getattr(error, "orig", None) or error).__name__
        raise ValueError(f"--storage: the database cannot be opened ({reason})") from None


def open_trials(study: Study, rival: Rival, storage: BaseStorage) -> optuna.Study:
    """Open the trials of a rival, or begin them."""
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if study.file.prune:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    trials = optuna.create_study(
        storage=storage,
        study_name=f"{study.name}/{rival.name}",
        direction="maximize",
        load_if_exists=True,
        pruner=pruner,
    )
    experiment = rival.config({}, study.seeds[0])
    settings = {
        "search": [str(dimension) for dimension in rival.search],
        "seeds": list(study.seeds),
        "metric": study.file.metric,
    }
    text = trials.user_attrs.get("settings")
    if text is None:
        settings[EXPERIMENT] = dump_config(experiment)
        trials.set_user_attr("settings", json.dumps(settings))
        return trials
    begun = json.loads(text)
    try:
        changed = changed_experiment(parse_config(begun[EXPERIMENT], EXPERIMENT), experiment)
    except ValueError:  # It has keys that this version does not know.
        changed = ["version of gcahng"]
    if changed := [*changed, *(key for key, value in settings.items() if begun[key] != value)]:
        raise ValueError(
            f"{study.source}: the study was begun with another {' and '.join(changed)} of "
            f"{rival.name!r}: give the file another name, or delete '{study.folder}'"
        )
    return trials


def open_journal(file: Path) -> JournalStorage:
    """Open the journal of a study, or begin it; half a line at its end is dropped."""
    try:
        return JournalStorage(_Journal(file))
    except _UNFIT as error:
        raise ValueError(
            f"--storage: '{file}' is damaged, or not a study's journal: put back a copy of the "
            "file; to begin anew, move it and the study's folder away"
        ) from error


class _Journal(JournalFileBackend):
    """A journal file whose lines are appended whole or not at all."""

    def __init__(self, file: Path) -> None:
        # Optuna's other lock, a link to the journal, is never freed after its holder died if the
        # path means nothing in the link's folder, or on another machine.
        self.lock = JournalFileOpenLock(str(file), grace_period=LOCK_PATIENCE)
        super().__init__(str(file), lock_obj=self.lock)
        self.file = file
        self._end()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append lines, after what a process that died has left."""
        self.lock.acquire()
        try:
            end = self._end()
            if end < self.file.stat().st_size:
                os.truncate(self.file, end)
            lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
            append(self.file, "".join(lines).encode())
        finally:
            self.lock.release()

    def _end(self) -> int:
        """Find the end of the last whole line."""
        content = self.file.read_bytes()
        end = content.rfind(b"\n") + 1
        starts = [text[: len(START)] for text in (content, content[end:])]
        if not all(map(START.startswith, starts)) or b"\0" in content[end:]:
            raise ValueError("another file")
        return end
