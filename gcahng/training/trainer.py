"""Train one experiment: set up, epochs of steps, evaluation, checkpoints, results."""

import time
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric, seed_everything

from gcahng.config import ExperimentConfig
from gcahng.evaluation.comparison import gains
from gcahng.evaluation.ranking import ranked_by
from gcahng.jobs.process import Stopped, heed_signals
from gcahng.models.batch_statistics import use_global_statistics
from gcahng.processes import copy_from_first, from_first, rank, wait_for_first
from gcahng.runs.embedding import EvaluatedRun, write_shared_model
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import load_run
from gcahng.training.checkpoints import Checkpoints, Interruption
from gcahng.training.closed_form import fit_head, whiten
from gcahng.training.dry_run import rehearse
from gcahng.training.experiment import Experiment, build_experiment, build_step
from gcahng.training.fabric import build_fabric, group_of
from gcahng.training.features import HeadOfEmbedder, embed_once
from gcahng.training.loggers import WandbLogger
from gcahng.training.measure_step import peak_memory_mib, reset_peak_memory
from gcahng.training.measurements import LossLog, Measurement, Measurements
from gcahng.training.optimizers import learning_rates
from gcahng.training.progress import Display, TrainingProgress, WorkClock
from gcahng.training.warm_start import warm_start_embedder

# Seconds between two reports of the losses. On a GPU each report waits for the device.
REFRESH = 1.0


class Trainer:
    """One run, from its first step to its results.

    Args:
        experiment: The objects to train.
        fabric: Device, precision and logger.
        folder: Where the run is kept.
        display: Where progress is reported.
    """

    def __init__(
        self, experiment: Experiment, fabric: Fabric, folder: RunFolder, display: Display
    ) -> None:
        self.experiment, self.config, self.group = experiment, experiment.config, experiment.group
        self.fabric, self.folder, self.display = fabric, folder, display
        self.step = build_step(experiment, backward=fabric.backward, autocast=fabric.autocast)
        self.checkpoints = Checkpoints(experiment, folder)
        self.progress = TrainingProgress(WorkClock(fabric.device))
        self.measured = Measurements(experiment, partial(display.work, "evaluation"))
        self.of_features = partial(display.work, "features")
        self.loader = experiment.loader
        self.trackers = [one for one in fabric.loggers if isinstance(one, WandbLogger)]
        # Before the warm-up, which freezes the backbone.
        self.parameters = experiment.count_parameters()

    @classmethod
    def set_up(
        cls,
        config: ExperimentConfig,
        folder: RunFolder,
        display: Display,
        *,
        fabric: Fabric | None = None,
        pretrained: bool = True,
    ) -> "Trainer":
        """Choose the device, seed all random states, build the experiment and try its parts.

        Args:
            config: The settings.
            folder: Where the run is kept.
            display: Where progress is reported.
            fabric: Device and processes; default: those of the settings.
            pretrained: Whether to fetch pretrained weights; False for a run that is resumed.

        Raises:
            ValueError: If the settings do not fit the data or the machine.
        """
        fabric = fabric or build_fabric(config, folder)
        if config.fabric.threads is not None:
            torch.set_num_threads(config.fabric.threads)
        seed_everything(config.seed, verbose=False)
        group = group_of(fabric)
        experiment = build_experiment(config, fabric.device, pretrained=pretrained, group=group)
        rehearse(experiment)
        return cls(experiment, fabric, folder, display)

    def fit(self) -> dict[str, Any]:
        """Train to the end, evaluate on the test split, write results and model.

        Returns:
            The content of `results.json`.

        Raises:
            NonFiniteLossError: If a loss or gradient is not finite; the last checkpoint is kept.
            Stopped: If a signal asked for it in an epoch; the training was saved.
        """
        finished = False
        try:
            for tracker in self.trackers:
                tracker.start()
            if self.progress.epoch == 0 and self.progress.best is None:
                self.begin()
            else:
                self.embed_once()
            # Not before the warm start, which each process computes alone.
            use_global_statistics(self.experiment.embedder.backbone, self.group)
            reset_peak_memory(self.fabric.device)
            interruption = Interruption(self.config.train.save_minutes, self.group)
            with heed_signals(interruption.receive):
                while not self.is_over:
                    self.end_epoch(self.train_epoch(interruption))
                    if interruption.poll().stop:
                        where = f"after epoch {self.progress.epoch}, and saved"
                        raise Stopped(interruption.status, where)
            results = self.finish()
            finished = True
            return results
        finally:
            for logger in self.fabric.loggers:
                logger.finalize("success" if finished else "failed")

    def begin(self) -> None:
        """Set up the start of the training, epoch 0: warm-up, last layer, figures, checkpoint."""
        experiment = self.experiment
        warm_start_embedder(experiment, partial(self.display.work, "warm start"))
        fit_head(experiment, self.of_features)
        closed_form = whiten(experiment, self.of_features)
        self.embed_once()
        untrained = self.config.train.epochs == 0
        if not (self.config.eval.zero_shot or untrained):
            return
        start = self.measured.start()
        self.progress.zero_shot, self.progress.untrained = start.figures, start.untrained
        if self.config.quirks.select == "faithful" and not untrained:
            return  # The published code chooses among trained epochs.
        self._keep_if_better(start.selection)
        if untrained and closed_form is not None:
            # Nothing is chosen on the validation classes any more: learn from them as well.
            experiment.embedder.take_head(closed_form.fit_to_all())
            copy_from_first([experiment.embedder.fc], self.group)
        if rank(self.group) == 0:
            self.checkpoints.save(self.progress, improved=True)
        wait_for_first(self.group)

    def embed_once(self) -> None:
        """Go on with features in place of images, if the backbone is frozen."""
        if "backbone" in self.config.embedder.freeze:
            found = embed_once(self.experiment, self.of_features)
            self.loader, self.measured.features = found
            self.step.embedder = HeadOfEmbedder(self.experiment.embedder)

    def train_epoch(self, interruption: Interruption | None = None) -> dict[str, float]:
        """Train on every batch of one epoch, or on the rest of one that was interrupted.

        Args:
            interruption: Asked after each step whether to save or to stop; None: neither.

        Returns:
            A row of the history: epoch, seconds, learning rates and mean losses.
        """
        experiment, loader = self.experiment, self.loader
        log = self._begin_epoch()
        rates = learning_rates(experiment.schedules)
        shown = time.perf_counter()
        self.progress.clock.start()
        for number, (images, labels) in enumerate(loader, start=loader.first + 1):
            log.add(self.step(experiment.to_device(images), labels))
            if time.perf_counter() - shown > REFRESH:
                shown = time.perf_counter()
                self.display.step(self.progress.epoch, number, len(loader), log.means())
            if interruption is not None and number < len(loader):
                self._save_or_stop(interruption, number, log)
        self.progress.step, self.progress.losses = 0, {}
        losses = {f"loss/{name}": value for name, value in log.means().items()}
        self.progress.clock.stop()
        # All processes agree when the time is up.
        seconds = from_first(self.progress.clock.seconds, self.group)
        self.progress.clock.seconds = seconds
        peak = peak_memory_mib(self.fabric.device)
        self.progress.peak_memory_mib = max(self.progress.peak_memory_mib, peak)
        return {"epoch": self.progress.epoch, "seconds": seconds, **rates, **losses}

    def end_epoch(self, row: dict[str, float]) -> None:
        """Advance hardness and schedules, evaluate, and write metrics and checkpoints."""
        if self.experiment.generator is not None:
            self.experiment.generator.hardness.end_epoch()
        for schedule in self.experiment.schedules:
            schedule.step()
        measured = None
        if self.progress.epoch % self.config.eval.every == 0 or self.is_over:
            measured = self.measured.selection(self.progress.epoch)
            row |= {f"{self.selected_on}/{name}": v for name, v in measured.figures.items()}
        self.progress.history.append(row)
        improved = measured is not None and self._keep_if_better(measured)
        self.measured.keep(self.progress.epoch, self.progress.best_epoch)
        if rank(self.group) == 0:
            self.fabric.log_dict(row, step=self.progress.epoch)
            self.folder.write_metrics(self.progress.history)
            self.checkpoints.save(self.progress, improved)
        wait_for_first(self.group)
        self.display.epoch(row, self.progress.best_value)

    def _keep_if_better(self, measured: Measurement) -> bool:
        """Keep the present epoch if it is better than the one kept, by more than the noise."""
        metric, noise = self.config.eval.select, 0.0
        if self.config.quirks.select == "corrected":
            noise = from_first(self.progress.noise(measured.scores, metric), self.group)
        return self.progress.keep_if_better(measured.figures[metric], noise, measured.scores)

    def finish(self) -> dict[str, Any]:
        """Measure the last and the best epoch on the test split, write results and model."""
        last = self.measured.test(self.progress.epoch)
        if self.progress.best_epoch != self.progress.epoch:
            self.checkpoints.restore_best()
        best = self.measured.test(self.progress.best_epoch)
        results = {
            **{f"zero_shot/{name}": value for name, value in self.progress.zero_shot.items()},
            **{f"last/{name}": value for name, value in last.figures.items()},
            **{f"best/{name}": value for name, value in best.figures.items()},
            **self._gains(best),
            "best_epoch": self.progress.best_epoch,
            "best_value": self.progress.best_value,
            **{f"highest_{key}": value for key, value in (self.progress.highest or {}).items()},
            **self.experiment.splits.counts,
            "selected_on": self.selected_on,
            "selected_by": self.config.eval.select,
            "ranked_by": ranked_by(self.config.eval.engine, self.fabric.device),
            "own_validation": self.experiment.splits.has_own_validation,
            "epochs": self.progress.epoch,
            "ended_by": self.progress.reached_limit(self.config.train, self.selected_figure),
            **self.parameters,
            "seconds": self.progress.clock.seconds,
            "peak_memory_mib": self.progress.peak_memory_mib,
        }
        if rank(self.group) == 0:
            self.folder.write_results(results)
            for tracker in self.trackers:
                tracker.log_results(results)
        if self.config.embedder.finish:
            self._replace_head()
        if rank(self.group) == 0:
            write_shared_model(
                self.folder.path, self.experiment.embedder, self.experiment.saved_config
            )
        return results

    def _gains(self, kept: Measurement) -> dict[str, float]:
        """By how much the kept epoch is better than the untrained network, with intervals."""
        if self.progress.untrained is None or kept.scores is None:
            return {}
        found = gains(kept.scores, self.progress.untrained)
        if (images := self.measured.as_untrained) is not None:
            found["untrained_px"] = images[0][0].shape[-1]
        return found

    def _replace_head(self) -> None:
        """Replace the trained last layer of the best epoch by the one in closed form."""
        embedder = self.experiment.embedder
        head = self.measured.closed_form(self.progress.best_epoch).fit_to_all()
        if rank(self.group) == 0:
            self.checkpoints.save_finish(head)
        embedder.take_head(head)
        copy_from_first([embedder.fc], self.group)

    def evaluated_run(self) -> EvaluatedRun:
        """The finished run as a report needs it: best model, test images and their embeddings."""
        embeddings = self.measured.test(self.progress.best_epoch).embeddings
        run = load_run(self.folder.path, trust=True)
        return EvaluatedRun(run, self.experiment.splits.test, embeddings)

    def resume(self) -> None:
        """Go back to the last state that was saved; the run continues from there exactly."""
        self.progress = self.checkpoints.restore_last(self.fabric.device)

    @property
    def is_over(self) -> bool:
        """Whether all epochs are trained, the time is up, or nothing improves any more."""
        return self.progress.reached_limit(self.config.train, self.selected_figure) is not None

    @property
    def selected_on(self) -> str:
        """The split that chooses the best epoch: `val` or `test`."""
        return "test" if self.config.selects_on_test else "val"

    @property
    def selected_figure(self) -> str:
        """The key, in the rows of the history, of the figure that chooses the best epoch."""
        return f"{self.selected_on}/{self.config.eval.select}"

    def _begin_epoch(self) -> LossLog:
        """Choose the epoch's batches, and freeze or thaw the backbone."""
        interrupted = self.progress.step > 0
        before = self.progress.epoch - interrupted
        self.experiment.loader.batches.set_epoch(before)
        self.loader.first = self.progress.step
        warmup = self.config.train.warmup_epochs
        # The published code thaws them as the warm-up ends, so never without a warm-up.
        thaw_norms = 0 < warmup <= before and self.config.quirks.bn_affine == "faithful"
        self.experiment.embedder.train_backbone(before >= warmup, thaw_norms)
        self.experiment.embedder.train()
        self.progress.epoch = before + 1
        self.step.number = (self.progress.epoch << 32) + self.progress.step
        return LossLog(self.progress.epoch, self.progress.losses)

    def _save_or_stop(self, interruption: Interruption, step: int, log: LossLog) -> None:
        """Save within the epoch if it is time to, and stop if a signal asks for it."""
        asked = interruption.poll()
        if asked.save:
            self.progress.clock.stop()
            self.progress.step, self.progress.losses = step, log.state()
            if rank(self.group) == 0:
                self.checkpoints.save_partial(self.progress)
            wait_for_first(self.group)
            self.progress.clock.start()
        if asked.stop:
            where = f"after step {step} of epoch {self.progress.epoch}, and saved"
            raise Stopped(interruption.status, where)
