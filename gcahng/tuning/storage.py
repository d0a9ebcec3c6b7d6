"""Where a study's trials are kept: a journal file, or a database that many machines reach."""

import json
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage

from gcahng.config import ExperimentConfig, changed_experiment, dump_config, parse_config
from gcahng.files import check_folder
from gcahng.tuning.journal import open_journal
from gcahng.tuning.study import Rival, Study

DATABASES = ("postgresql", "mysql", "mariadb")
EXPERIMENT = "experiment"


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
    """Open the trials of a rival, or begin them.

    Raises:
        ValueError: If they were begun with other settings.
    """
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if study.prune:
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
        "metric": study.metric,
    }
    begun = trials.user_attrs.get("settings")
    if begun is None:
        settings[EXPERIMENT] = dump_config(experiment)
        trials.set_user_attr("settings", json.dumps(settings))
    elif changed := _changed(json.loads(begun), settings, experiment):
        raise ValueError(
            f"{study.source}: the study was begun with another {' and '.join(changed)} of "
            f"{rival.name!r}: give the file another name, or delete '{study.folder}'"
        )
    return trials


def _changed(
    begun: dict[str, Any], settings: dict[str, Any], experiment: ExperimentConfig
) -> list[str]:
    """What a study now has in another way than it was begun with."""
    if not isinstance(begun.get(EXPERIMENT), str):
        return ["version of gcahng"]
    first = parse_config(begun[EXPERIMENT], EXPERIMENT)
    changed = [key for key, value in settings.items() if begun[key] != value]
    return [*changed_experiment(first, experiment), *changed]
