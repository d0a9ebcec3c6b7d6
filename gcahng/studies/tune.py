"""Work through a study: draw settings, train them, and write the report."""

import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState
from rich.console import Console

from gcahng.config import ExperimentConfig, dump_config
from gcahng.config.experiment import changed_experiment, parse_config
from gcahng.jobs.claim import Claim, take_claim
from gcahng.jobs.pool import Job, Pool
from gcahng.reports.tables import results_table
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import figure_title, figures_after, read_history, read_record
from gcahng.studies.run import make_job
from gcahng.studies.schedule import Work, say, work_through
from gcahng.studies.study import Rival, Study
from gcahng.studies.study_report import (
    REASON,
    Trials,
    report_study,
    rival_columns,
    rival_rows,
    short,
)

# Seconds after which the lock of a process that died is freed; writing takes milliseconds.
LOCK_PATIENCE = 30


def tune(study: Study, console: Console) -> bool:
    """Try settings until every rival has had all its trials; write the report, print its table."""
    opened = open_storage(study)
    trials = {name: open_trials(study, r, opened) for name, r in study.rivals.items()}
    work = StudyWork(study, trials)
    written = work_through(work, Pool(1), console, lambda: report_study(study, trials))
    rows = rival_rows(study, trials)
    console.print(results_table(rows, rival_columns(study), study.title))
    say(console, f"report: {written}")
    say(console, f"page: {written.with_suffix('.html')}")
    return all("best" in row for row in rows)


def show_study(study: Study, console: Console) -> None:
    """Print what a study varies, without training."""
    lines = []
    for rival in study.rivals.values():
        lines += [f"{rival.name}: {study.trials} trials", *(f"  {d}" for d in rival.search)]
    seeds = f"seeds {study.seeds[0]} to {study.seeds[-1]}"
    title = figure_title(study.file.metric)
    lines.append(f"maximises {title} on validation classes, {seeds}; in {study.folder}")
    say(console, "\n".join(lines))


def open_storage(study: Study) -> JournalStorage:
    """Open the journal in a study's folder, or begin it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study.folder.mkdir(parents=True, exist_ok=True)
    file = str(study.folder / "journal.log")
    # Optuna's other lock, a link to the journal, is never freed after its holder died if the path
    # means nothing in the link's folder, or on another machine.
    lock = JournalFileOpenLock(file, grace_period=LOCK_PATIENCE)
    backend = JournalFileBackend(file, lock_obj=lock)
    lock.acquire()
    try:
        # Half a line is left by a process that was killed, or that found the disk full.
        os.truncate(file, Path(file).read_bytes().rfind(b"\n") + 1)
    finally:
        lock.release()
    return JournalStorage(backend)


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
        settings["experiment"] = dump_config(experiment)
        trials.set_user_attr("settings", json.dumps(settings))
        return trials
    begun = json.loads(text)
    try:
        changed = changed_experiment(parse_config(begun["experiment"], "experiment"), experiment)
    except ValueError:  # It has keys that this version does not know.
        changed = ["version of gcahng"]
    if changed := [*changed, *(key for key, value in settings.items() if begun[key] != value)]:
        raise ValueError(
            f"{study.source}: the study was begun with another {' and '.join(changed)} of "
            f"{rival.name!r}: give the file another name, or delete '{study.folder}'"
        )
    return trials


@dataclass(eq=False)
class Attempt:
    """A trial, whose seeds are trained one after the other."""

    rival: Rival
    trial: Trial
    folder: Path
    run: RunFolder | None = None
    # Epochs of the seeds before this one.
    before: int = 0
    pruned: bool = False
    reason: str | None = None
    job: Job | None = None


class StudyWork(Work[Attempt]):
    """The trials of a study, those that a dead process has begun and new ones."""

    def __init__(self, study: Study, trials: Trials) -> None:
        self.study, self.trials, self.metric = study, trials, study.file.metric

    def left(self) -> dict[str, Path]:
        """The claims of the trials that were begun and have not ended."""
        return {
            f"{name} {trial.number + 1}": self._claim(name, trial.number)
            for name, one in self.trials.items()
            for trial in one.trials
            if self._is_begun(name, trial)
        }

    def take(self) -> tuple[Attempt, Claim | None] | None:
        """Claim the next trial: one that a dead process has begun, or a new one."""
        for name, one in self.trials.items():
            for frozen in one.trials:
                number = frozen.number
                begun = self._is_begun(name, frozen)
                if begun and (claim := take_claim(self._claim(name, number))):
                    # Look again: the last holder may have ended it between the look and the claim.
                    if one.trials[number].state is TrialState.RUNNING:
                        trial, folder = Trial(one, frozen._trial_id), self._folder(name, number)
                        return Attempt(self.study.rivals[name], trial, folder), claim
                    claim.release()
        # In turn, so that a study that is stopped early has tried all rivals alike.
        name = min(self.trials, key=lambda name: len(self.trials[name].trials))
        return self._draw(self.study.rivals[name], self.trials[name])

    def next_job(self, item: Attempt) -> tuple[Job, ExperimentConfig] | None:
        """The training of the first seed that has not finished."""
        if item.job is not None:
            item.reason = item.job.reason
        item.job, item.before = None, 0
        for seed in self.study.seeds:
            if item.pruned or item.reason is not None:
                break
            try:
                config = item.rival.config(item.trial.params, seed)
            except ValueError as error:  # of settings that are wrong together
                item.reason = " ".join(str(error).split())
                break
            item.run = RunFolder(item.folder / f"seed{seed}")
            if not item.run.results.is_file():
                settings = item.run.path.with_suffix(".yaml")
                item.job = make_job(item.folder.name, settings, item.run.path, config)
                return item.job, config
            self.falls_behind(item)
            item.before += config.train.epochs
        return None

    def falls_behind(self, item: Attempt) -> bool:
        """Tell Optuna the epochs that it does not know yet; whether to prune the trial.

        Epochs of the second seed follow those of the first, so that trials are compared at the
        same epoch of the same seed.
        """
        assert item.run is not None
        known = item.trial.storage.get_trial(item.trial._trial_id).intermediate_values
        for row in read_history(item.run):
            value = row.get(f"val/{self.metric}", math.nan)
            step = item.before + int(row["epoch"])
            if math.isfinite(value) and step not in known:
                item.trial.report(value, step)
                if not item.run.results.is_file() and item.trial.should_prune():
                    item.pruned = True
                    return True
        return False

    def end(self, item: Attempt) -> str:
        """Tell the study how a trial ended."""
        trial, outcome = item.trial, "pruned"
        value = math.nan
        if not (item.pruned or item.reason):
            runs = [RunFolder(item.folder / f"seed{seed}") for seed in self.study.seeds]
            kept = [figures_after(read_record(run, run.path.name), "best", "val") for run in runs]
            value = mean(figures.get(self.metric, math.nan) for figures in kept)
        if math.isfinite(value):
            trial.study.tell(trial, value)
            outcome = f"{figure_title(self.metric)} {100 * value:.2f} %"
        elif item.pruned:
            trial.study.tell(trial, state=TrialState.PRUNED)
        else:
            reason = item.reason or f"no epoch has a finite {self.metric} on validation classes"
            trial.set_user_attr(REASON, reason)
            trial.study.tell(trial, state=TrialState.FAIL)
            outcome = f"FAILED: {reason}"
        # A study keeps figures, not weights; its best setting is trained anew.
        for folder in item.folder.glob("seed*/"):
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            RunFolder(folder).model.unlink(missing_ok=True)
        settings = ", ".join(f"{key}={short(value)}" for key, value in trial.params.items())
        number = f"{item.rival.name} {trial.number + 1}/{self.study.trials}"
        return f"{number}: {outcome} ({settings})"

    def _draw(self, rival: Rival, trials: optuna.Study) -> tuple[Attempt, Claim] | None:
        """Draw a new trial; None if there are enough, or another process has drawn the last one."""
        number = len(trials.trials)
        if number >= self.study.trials:
            return None
        folder = self._folder(rival.name, number)
        # As when the journal was deleted, but not the rest.
        if any(folder.glob("seed*/results.json")):
            raise ValueError(
                f"'{folder}' holds a trial that the study's journal does not know: move "
                f"'{folder.parent}' away to begin anew"
            )
        # A seed by the number of trials: what is drawn is the same if the study is interrupted.
        trials.sampler = optuna.samplers.TPESampler(seed=number, constant_liar=True)
        trial = trials.ask({d.key: d.distribution for d in rival.search})
        if trial.number >= self.study.trials:
            trial.set_user_attr(REASON, "not trained: the study already had all its trials")
            trials.tell(trial, state=TrialState.FAIL)
            return None
        claim = take_claim(self._claim(rival.name, trial.number))
        assert claim is not None
        folder = self._folder(rival.name, trial.number)
        folder.mkdir(parents=True, exist_ok=True)
        return Attempt(rival, trial, folder), claim

    def _is_begun(self, name: str, trial: FrozenTrial) -> bool:
        there = self._folder(name, trial.number).is_dir()
        return there and trial.state is TrialState.RUNNING

    def _folder(self, name: str, number: int) -> Path:
        return self.study.trial_folder(name, number)

    def _claim(self, name: str, number: int) -> Path:
        return self.study.folder / "claims" / self._folder(name, number).name
