"""One trial of a study: a training for each seed, stopped early if its figures fall behind."""

import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from optuna import TrialPruned
from optuna.trial import Trial

from gcahng.config import dump_config
from gcahng.jobs.claim import Claim
from gcahng.jobs.pool import Job, Pool
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import figures_after, read_history, read_record
from gcahng.studies.run import make_job
from gcahng.studies.study import Rival, Study

# Seconds between two looks at a training's figures.
POLL = 0.3


class TrialFailed(Exception):
    """A training of the trial has failed; the message says why."""


class TrialStopped(Exception):
    """A signal has stopped a training of the trial, which is to be continued."""


@dataclass(frozen=True)
class TrialRun:
    """The trainings of a trial.

    Attributes:
        study: The study.
        rival: What is tuned.
        number: Of the trial.
        params: What Optuna has drawn, by dotted path.
    """

    study: Study
    rival: Rival
    number: int
    params: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where the run folder of each seed is."""
        return self.study.folder / "trials" / f"{self.rival.name}-{self.number:04d}"

    @property
    def claim(self) -> Path:
        """What the claims on it are named after, see `take_claim`."""
        return self.study.folder / "claims" / self.folder.name

    def train(self, trial: Trial, claim: Claim) -> float:
        """Train every seed, or continue; return the mean of their figures.

        Raises:
            TrialPruned: If the trial falls behind.
            TrialFailed: If a training fails.
            TrialStopped: If a training is to be continued.
        """
        figures = []
        for index, seed in enumerate(self.study.seeds):
            config = self.rival.config(self.params, seed)
            first = index * config.train.epochs
            run = RunFolder(self.folder / f"seed{seed}")
            if not run.results.is_file():
                settings = run.path.with_suffix(".yaml")
                job = make_job(self.folder.name, settings, run.path, config)
                self._train_one(job, dump_config(config), trial, claim, first)
            self._report(trial, run, first)
            kept = figures_after(read_record(run, run.path.name), "best", "val")
            figures.append(kept.get(self.study.file.metric, math.nan))
        if not all(map(math.isfinite, figures)):
            metric = self.study.file.metric
            raise TrialFailed(f"no epoch has a finite {metric} on validation classes")
        return mean(figures)

    def clean_up(self) -> None:
        """Delete the weights: a study keeps figures; its best setting is trained anew."""
        for folder in self.folder.glob("seed*/"):
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            RunFolder(folder).model.unlink(missing_ok=True)

    def _train_one(self, job: Job, settings: str, trial: Trial, claim: Claim, first: int) -> None:
        pool = Pool(1)
        try:
            pool.start(job, settings, claim)
            while not pool.collect():
                if self._report(trial, RunFolder(job.folder), first):
                    raise TrialPruned
                time.sleep(POLL)
        finally:
            pool.close()
        if job.reason is not None:
            raise TrialFailed(job.reason)
        if not job.finished:
            raise TrialStopped

    def _report(self, trial: Trial, run: RunFolder, first: int) -> bool:
        """Tell Optuna the epochs that it does not know yet; return whether to stop the trial.

        Epochs of the second seed follow those of the first, so that trials are compared at the
        same epoch of the same seed.
        """
        known = trial.storage.get_trial(trial._trial_id).intermediate_values
        for row in read_history(run):
            value = row.get(f"val/{self.study.file.metric}", math.nan)
            step = first + int(row["epoch"])
            if math.isfinite(value) and step not in known:
                trial.report(value, step)
                if trial.should_prune():
                    return True
        return False
