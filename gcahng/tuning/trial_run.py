"""One trial: a training for each seed, stopped early if its figures fall behind."""

import math
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from optuna import TrialPruned
from optuna.trial import Trial

from gcahng.ablation import pool
from gcahng.ablation.launchers import Started, start_process
from gcahng.config import dump_config
from gcahng.files import write_text
from gcahng.runs.claim import CLAIM_FILE, Claim
from gcahng.runs.failure import FAILURE_FILE
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import figures_after, read_history, read_record
from gcahng.runs.stopping import was_stopped
from gcahng.tuning.study import Rival, Study

# Seconds between two looks at a training's figures, and until one that is stopped is killed.
POLL, GRACE = 0.3, 15.0


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
    def name(self) -> str:
        """Of its folder and its claim."""
        return f"{self.rival.name}-{self.number:04d}"

    @property
    def folder(self) -> Path:
        """With a run folder for each seed."""
        return self.study.folder / "trials" / self.name

    @property
    def claim(self) -> Path:
        """What the claims on it are named after, see `take_claim`."""
        return self.study.folder / "claims" / self.name

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

            def report(run: RunFolder = run, first: int = first) -> bool:
                return self._report(trial, run, first)

            if not run.results.is_file():
                settings = self.folder / f"seed{seed}.yaml"
                write_text(settings, dump_config(config))
                self._run(settings, run, claim, pool.gpus_for(config), report)
            report()
            kept = figures_after(read_record(run, run.path.name), "best", "val")
            figures.append(kept.get(self.study.metric, math.nan))
        if not all(map(math.isfinite, figures)):
            raise TrialFailed(f"no epoch has a finite {self.study.metric} on validation classes")
        return mean(figures)

    def clean_up(self) -> None:
        """Delete the weights: a study keeps figures; its best setting is trained anew."""
        for folder in self.folder.glob("seed*/"):
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            RunFolder(folder).model.unlink(missing_ok=True)

    def _run(
        self,
        settings: Path,
        run: RunFolder,
        claim: Claim,
        gpus: Mapping[str, str],
        report: Callable[[], bool],
    ) -> None:
        log, failure = settings.with_suffix(".log"), settings.with_suffix(".failed")
        failure.unlink(missing_ok=True)
        words = [str(settings), "--run", str(run.path), "--resume", "auto", "--no-report"]
        environment = {FAILURE_FILE: str(failure), CLAIM_FILE: str(claim.file), **gpus}
        process = start_process(self.name, [*pool.COMMAND, *words], environment, log)
        try:
            while process.poll() is None:
                if report():
                    raise TrialPruned
                time.sleep(POLL)
        finally:
            _stop(process)
        if was_stopped(process.returncode) and not run.results.is_file():
            raise TrialStopped
        if process.returncode != 0 or not run.results.is_file():
            raise TrialFailed(_reason(process.returncode, failure, log))

    def _report(self, trial: Trial, run: RunFolder, first: int) -> bool:
        """Tell Optuna the epochs that it does not know yet; return whether to stop the trial.

        Epochs of the second seed follow those of the first, so that trials are compared at the
        same epoch of the same seed.
        """
        known = trial.storage.get_trial(trial._trial_id).intermediate_values
        news = {first + epoch: value for epoch, value in self._figures(run).items()}
        for step, value in news.items():
            if step not in known:
                trial.report(value, step)
                if trial.should_prune():
                    return True
        return False

    def _figures(self, run: RunFolder) -> dict[int, float]:
        key = f"val/{self.study.metric}"
        rows = [row for row in read_history(run) if math.isfinite(row.get(key, math.nan))]
        return {int(row["epoch"]): row[key] for row in rows}


def _stop(process: Started) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
        process.wait()


def _reason(status: int | None, failure: Path, log: Path) -> str:
    if failure.is_file():
        return " ".join(failure.read_text(encoding="utf-8").split())
    return pool.exit_reason(status, log)
