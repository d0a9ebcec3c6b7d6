"""Work through a study: draw settings, train them, and write the report."""

import time
from collections.abc import Mapping

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from rich.console import Console

from gcahng.jobs.claim import Claim, take_claim
from gcahng.jobs.process import Stopped, heed_signals
from gcahng.reports.tables import results_table
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
from gcahng.studies.trial import TrialFailed, TrialRun, TrialStopped

# Seconds between two looks at trials of other processes.
LOOK = 2.0
WAITING = TrialState.RUNNING


def tune(study: Study, console: Console, storage: str | None = None) -> bool:
    """Try settings until every rival has had all its trials; write the report, print its table.

    Several processes, also on several machines, may do so at the same time. They need the study's
    folder in common, or a database as storage. What a process that died has begun is finished.

    Args:
        study: The study.
        console: Where to print.
        storage: See `open_storage`.

    Returns:
        Whether every rival has a trial that finished.

    Raises:
        ValueError: If the study was begun with other settings, or the storage cannot be opened.
        SystemExit: If a signal stops it.
    """
    opened = open_storage(study, storage)
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
    console.print(results_table(rows, rival_columns(study.file.metric), study.title))
    for line in (f"report: {written}", f"page: {written.with_suffix('.html')}"):
        _print(console, line)
    return all(row["best"] is not None for row in rows)


def _work(study: Study, trials: Mapping[str, optuna.Study], console: Console) -> None:
    """Train trials until every rival has had all of them."""
    while True:
        while found := _next(study, trials):
            _train(*found, console)
        # What is left is trained by other processes; with other folders, it is not waited for.
        if not any(_here(study, name, t) for name, one in trials.items() for t in one.trials):
            break
        time.sleep(LOOK)


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


def _here(study: Study, name: str, trial: FrozenTrial) -> bool:
    """Whether a trial is in training in this folder."""
    run = TrialRun(study, study.rivals[name], trial.number, trial.params)
    return trial.state is WAITING and run.folder.is_dir()


def _next(study: Study, trials: Mapping[str, optuna.Study]) -> tuple[TrialRun, Trial, Claim] | None:
    """The next trial to train: one that a dead process has begun, or a new one."""
    for name, one in trials.items():
        for frozen in one.trials:
            if _here(study, name, frozen):
                run = TrialRun(study, study.rivals[name], frozen.number, frozen.params)
                claim = take_claim(run.claim)
                if claim is None:
                    continue
                # Look again: the last holder may have ended it between the look and the claim.
                if one.trials[frozen.number].state is WAITING:
                    return run, Trial(one, frozen._trial_id), claim
                claim.release()
    # In turn, so that a study that is stopped early has tried all rivals alike.
    name = min(trials, key=lambda name: len(trials[name].trials))
    if len(trials[name].trials) >= study.trials:
        return None
    return _ask(study, study.rivals[name], trials[name])


def _ask(study: Study, rival: Rival, trials: optuna.Study) -> tuple[TrialRun, Trial, Claim] | None:
    """Draw a new trial; None if another process has drawn the last one at the same time.

    Raises:
        ValueError: If it was trained before, as when the journal was deleted, but not the rest.
    """
    number = len(trials.trials)
    folder = TrialRun(study, rival, number, {}).folder
    if any(folder.glob("seed*/results.json")):
        raise ValueError(
            f"'{folder}' holds a trial that the study's storage does not know: give --storage as "
            f"before, or move '{folder.parent}' away to begin anew"
        )
    # A seed by the number of trials: what is drawn is the same if the study is interrupted.
    seed = (study.file.sampler_seed * 100_003 + number) % 2**32
    trials.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    trial = trials.ask({d.key: d.distribution for d in rival.search})
    if trial.number >= study.trials:
        trial.set_user_attr(REASON, "not trained: the study already had all its trials")
        trials.tell(trial, state=TrialState.FAIL)
        return None
    run = TrialRun(study, rival, trial.number, trial.params)
    claim = take_claim(run.claim)
    assert claim is not None
    run.folder.mkdir(parents=True, exist_ok=True)
    return run, trial, claim


def _train(run: TrialRun, trial: Trial, claim: Claim, console: Console) -> None:
    """Train a trial and tell its storage how it ended; if it fails, the study goes on."""
    try:
        try:
            value = run.train(trial, claim)
        except optuna.TrialPruned:
            trial.study.tell(trial, state=TrialState.PRUNED)
            outcome = "pruned"
        except TrialStopped:
            # It keeps its state and its files, so it is found again.
            number = f"{run.rival.name} {run.number + 1}/{run.study.trials}"
            _print(console, f"{number}: stopped by a signal, to be continued")
            return
        # Of settings that are wrong together. A full disk is not the trial's fault: it ends this.
        except (TrialFailed, ValueError) as error:
            trial.set_user_attr(REASON, " ".join(str(error).split()))
            trial.study.tell(trial, state=TrialState.FAIL)
            outcome = f"FAILED: {error}"
        else:
            trial.study.tell(trial, value)
            outcome = f"{title_of(run.study.file.metric)} {100 * value:.2f} %"
    finally:
        claim.release()
    run.clean_up()
    settings = ", ".join(f"{key}={short(value)}" for key, value in trial.params.items())
    _print(console, f"{run.rival.name} {run.number + 1}/{run.study.trials}: {outcome} ({settings})")
