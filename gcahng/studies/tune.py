"""Work through a study: draw settings, train them, and write the report."""

import math
import shutil
import time
from collections.abc import Mapping
from statistics import mean

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from rich.console import Console

from gcahng.config import dump_config
from gcahng.jobs.claim import Claim, take_claim
from gcahng.jobs.pool import Pool
from gcahng.jobs.process import Stopped, heed_signals
from gcahng.reports.tables import results_table
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import figures_after, read_history, read_record
from gcahng.studies.run import make_job
from gcahng.studies.storage import open_storage, open_trials
from gcahng.studies.study import Rival, Study
from gcahng.studies.study_report import (
    REASON,
    report_study,
    rival_columns,
    rival_rows,
    short,
    title_of,
)

# Seconds between two looks at a training's figures, and at trials of other processes.
POLL, LOOK = 0.3, 2.0
WAITING = TrialState.RUNNING


class TrialStopped(Exception):
    """A signal has stopped a training of the trial, which is to be continued."""


def tune(study: Study, console: Console) -> bool:
    """Try settings until every rival has had all its trials; write the report, print its table.

    Several processes, also on several machines that share the study's folder, may do so at the
    same time. What a process that died has begun is finished.

    Args:
        study: The study.
        console: Where to print.

    Returns:
        Whether every rival has a trial that finished.

    Raises:
        ValueError: If the study was begun with other settings.
        SystemExit: If a signal stops it.
    """
    opened = open_storage(study)
    trials = {name: open_trials(study, r, opened) for name, r in study.rivals.items()}
    try:
        with heed_signals():
            _work(study, trials, console)
            written = report_study(study, trials)
    except Stopped as stopped:
        written = report_study(study, trials)
        _print(console, f"{stopped}; report so far: {written}; the same command continues it")
        raise SystemExit(stopped.status) from None
    rows = rival_rows(study, trials)
    console.print(results_table(rows, rival_columns(study), study.title))
    for line in (f"report: {written}", f"page: {written.with_suffix('.html')}"):
        _print(console, line)
    return all(row["best"] is not None for row in rows)


def show_study(study: Study, console: Console) -> None:
    """Print what a study varies, without training."""
    for rival in study.rivals.values():
        _print(console, f"{rival.name}: {study.trials} trials")
        for dimension in rival.search:
            _print(console, f"  {dimension}")
    seeds = f"seeds {study.seeds[0]} to {study.seeds[-1]}"
    title = title_of(study.file.metric)
    _print(console, f"maximises {title} on validation classes, {seeds}; in {study.folder}")


def _print(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def _work(study: Study, trials: Mapping[str, optuna.Study], console: Console) -> None:
    """Train trials until every rival has had all of them."""
    while True:
        while found := _next(study, trials):
            rival, trial, claim = found
            try:
                _train(study, rival, trial, claim, console)
            finally:
                claim.release()
        # What is left is trained by other processes; with other folders, it is not waited for.
        if not any(_here(study, name, t) for name, one in trials.items() for t in one.trials):
            break
        time.sleep(LOOK)


def _here(study: Study, name: str, trial: FrozenTrial) -> bool:
    """Whether a trial is in training in this folder."""
    return trial.state is WAITING and study.trial_folder(name, trial.number).is_dir()


def _claim(study: Study, name: str, number: int) -> Claim | None:
    return take_claim(study.folder / "claims" / study.trial_folder(name, number).name)


def _next(study: Study, trials: Mapping[str, optuna.Study]) -> tuple[Rival, Trial, Claim] | None:
    """The next trial to train: one that a dead process has begun, or a new one."""
    for name, one in trials.items():
        for frozen in one.trials:
            if _here(study, name, frozen) and (claim := _claim(study, name, frozen.number)):
                # Look again: the last holder may have ended it between the look and the claim.
                if one.trials[frozen.number].state is WAITING:
                    return study.rivals[name], Trial(one, frozen._trial_id), claim
                claim.release()
    # In turn, so that a study that is stopped early has tried all rivals alike.
    name = min(trials, key=lambda name: len(trials[name].trials))
    if len(trials[name].trials) >= study.trials:
        return None
    return _ask(study, study.rivals[name], trials[name])


def _ask(study: Study, rival: Rival, trials: optuna.Study) -> tuple[Rival, Trial, Claim] | None:
    """Draw a new trial; None if another process has drawn the last one at the same time."""
    number = len(trials.trials)
    folder = study.trial_folder(rival.name, number)
    # As when the journal was deleted, but not the rest.
    if any(folder.glob("seed*/results.json")):
        raise ValueError(
            f"'{folder}' holds a trial that the study's journal does not know: move "
            f"'{folder.parent}' away to begin anew"
        )
    # A seed by the number of trials: what is drawn is the same if the study is interrupted.
    seed = (study.file.sampler_seed * 100_003 + number) % 2**32
    trials.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    trial = trials.ask({d.key: d.distribution for d in rival.search})
    if trial.number >= study.trials:
        trial.set_user_attr(REASON, "not trained: the study already had all its trials")
        trials.tell(trial, state=TrialState.FAIL)
        return None
    claim = _claim(study, rival.name, trial.number)
    assert claim is not None
    study.trial_folder(rival.name, trial.number).mkdir(parents=True, exist_ok=True)
    return rival, trial, claim


def _train(study: Study, rival: Rival, trial: Trial, claim: Claim, console: Console) -> None:
    """Train a trial and tell its storage how it ended; if it fails, the study goes on."""
    number = f"{rival.name} {trial.number + 1}/{study.trials}"
    try:
        value = _measure(study, rival, trial, claim)
    except optuna.TrialPruned:
        trial.study.tell(trial, state=TrialState.PRUNED)
        outcome = "pruned"
    except TrialStopped:
        # It keeps its state and its files, so it is found again.
        _print(console, f"{number}: stopped by a signal, to be continued")
        return
    # Of a training, or of settings that are wrong together. A full disk ends the study.
    except ValueError as error:
        trial.set_user_attr(REASON, " ".join(str(error).split()))
        trial.study.tell(trial, state=TrialState.FAIL)
        outcome = f"FAILED: {error}"
    else:
        trial.study.tell(trial, value)
        outcome = f"{title_of(study.file.metric)} {100 * value:.2f} %"
    # A study keeps figures, not weights; its best setting is trained anew.
    for folder in study.trial_folder(rival.name, trial.number).glob("seed*/"):
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        RunFolder(folder).model.unlink(missing_ok=True)
    settings = ", ".join(f"{key}={short(value)}" for key, value in trial.params.items())
    _print(console, f"{number}: {outcome} ({settings})")


def _measure(study: Study, rival: Rival, trial: Trial, claim: Claim) -> float:
    """Train every seed, or continue; return the mean of their figures.

    Raises:
        TrialPruned: If the trial falls behind.
        ValueError: If a training fails.
        TrialStopped: If a training is to be continued.
    """
    figures, folder = [], study.trial_folder(rival.name, trial.number)
    for index, seed in enumerate(study.seeds):
        config = rival.config(trial.params, seed)
        first = index * config.train.epochs
        run = RunFolder(folder / f"seed{seed}")
        if not run.results.is_file():
            job = make_job(folder.name, run.path.with_suffix(".yaml"), run.path, config)
            pool = Pool(1)
            try:
                pool.start(job, dump_config(config), claim)
                while not pool.collect():
                    if _report(study, trial, run, first):
                        raise optuna.TrialPruned
                    time.sleep(POLL)
            finally:
                pool.close(patience=0)
            if job.reason is not None:
                raise ValueError(job.reason)
            if not job.finished:
                raise TrialStopped
        _report(study, trial, run, first)
        kept = figures_after(read_record(run, run.path.name), "best", "val")
        figures.append(kept.get(study.file.metric, math.nan))
    if not all(map(math.isfinite, figures)):
        raise ValueError(f"no epoch has a finite {study.file.metric} on validation classes")
    return mean(figures)


def _report(study: Study, trial: Trial, run: RunFolder, first: int) -> bool:
    """Tell Optuna the epochs that it does not know yet; return whether to stop the trial.

    Epochs of the second seed follow those of the first, so that trials are compared at the same
    epoch of the same seed.
    """
    known = trial.storage.get_trial(trial._trial_id).intermediate_values
    for row in read_history(run):
        value, step = row.get(f"val/{study.file.metric}", math.nan), first + int(row["epoch"])
        if math.isfinite(value) and step not in known:
            trial.report(value, step)
            if trial.should_prune():
                return True
    return False
