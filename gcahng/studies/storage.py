"""Where a study's trials are kept: Optuna's journal, a file that several machines can share."""

import json

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from gcahng.config import changed_experiment, dump_config, parse_config
from gcahng.studies.study import Rival, Study

EXPERIMENT = "experiment"
# Seconds after which the lock of a process that died is freed; writing takes milliseconds.
LOCK_PATIENCE = 30


def open_storage(study: Study) -> JournalStorage:
    """Open the journal in a study's folder, or begin it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study.folder.mkdir(parents=True, exist_ok=True)
    file = str(study.folder / "journal.log")
    # Optuna's other lock, a link to the journal, is never freed after its holder died if the path
    # means nothing in the link's folder, or on another machine.
    lock = JournalFileOpenLock(file, grace_period=LOCK_PATIENCE)
    return JournalStorage(JournalFileBackend(file, lock_obj=lock))


def open_trials(study: Study, rival: Rival, storage: JournalStorage) -> optuna.Study:
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
    changed = changed_experiment(parse_config(begun[EXPERIMENT], EXPERIMENT), experiment)
    if changed := [*changed, *(key for key, value in settings.items() if begun[key] != value)]:
        raise ValueError(
            f"{study.source}: the study was begun with another {' and '.join(changed)} of "
            f"{rival.name!r}: give the file another name, or delete '{study.folder}'"
        )
    return trials
