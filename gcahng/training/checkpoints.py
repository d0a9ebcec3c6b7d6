"""Checkpoints of a training: what they hold, when they are written, how it continues from one."""

import time
from typing import Any, NamedTuple

import torch

from gcahng.builders.networks import describe_embedder
from gcahng.config import dump_config
from gcahng.config.experiment import changed_experiment, parse_config
from gcahng.jobs.process import CONTINUE, INTERRUPTED, Stopped
from gcahng.models import WhiteningHead
from gcahng.processes import Group, any_process
from gcahng.runs.checkpoint import (
    load_checkpoint,
    random_states,
    restore_random_states,
    save_checkpoint,
)
from gcahng.runs.folder import RunFolder
from gcahng.training.experiment import Experiment
from gcahng.training.progress import TrainingProgress


class Checkpoints:
    """Write and restore the state of one run."""

    def __init__(self, experiment: Experiment, folder: RunFolder) -> None:
        self.experiment, self.folder = experiment, folder

    def save(self, progress: TrainingProgress, improved: bool) -> None:
        """Write the checkpoints that an epoch leaves; with no epochs at all, the best alone."""
        state = self._state(progress)
        if improved:
            save_checkpoint(self.folder.best, state)
        if self.experiment.config.train.epochs == 0:
            return
        save_checkpoint(self.folder.last, state)
        self.folder.partial.unlink(missing_ok=True)

    def save_partial(self, progress: TrainingProgress) -> None:
        """Write the checkpoint within an epoch."""
        save_checkpoint(self.folder.partial, self._state(progress))

    def save_finish(self, head: WhiteningHead) -> None:
        """Add the last layer that replaces the trained one to the best checkpoint."""
        state = load_checkpoint(self.folder.best)
        save_checkpoint(self.folder.best, state | {"finish": head.state_dict()})

    def restore_last(self, device: torch.device) -> TrainingProgress:
        """Restore the last state that was saved; training continues from there exactly."""
        there = [path for path in (self.folder.last, self.folder.partial) if path.exists()]
        states = [(path, load_checkpoint(path)) for path in there or [self.folder.last]]
        # That within an epoch, unless that epoch has ended.
        path, state = max(states, key=lambda found: found[1]["epoch"])
        config = parse_config(state["config"], str(path))
        changed = changed_experiment(self.experiment.config, config, ignore_limits=True)
        # A finished run may have its last layer replaced.
        late = self.folder.results.is_file() and config.embedder.finish is None
        if changed and not (late and changed == ["embedder.finish"]):
            raise ValueError(
                f"'{self.folder.config}' was changed since the run began ({', '.join(changed)}): "
                "a run continues as it began; put it back, or start a new run"
            )
        progress = TrainingProgress.restore(state, device)
        experiment = self.experiment
        for name, module in experiment.modules.items():
            module.load_state_dict(state[name])
        for kind in ("optimizers", "schedules"):
            for one, saved in zip(getattr(experiment, kind), state[kind], strict=True):
                one.load_state_dict(saved)
        restore_random_states(state["random"], experiment.device)
        if changed:  # what began was another last layer
            start = progress.zero_shot.items()
            progress.zero_shot = {key: value for key, value in start if "head/" not in key}
        return progress

    def restore_best(self) -> None:
        """Load embedder and generator as they were after the best epoch."""
        state = load_checkpoint(self.folder.best)
        self.experiment.embedder.load_state_dict(state["embedder"])
        if self.experiment.generator is not None:
            self.experiment.generator.load_state_dict(state["generator"])

    def _state(self, progress: TrainingProgress) -> dict[str, Any]:
        experiment = self.experiment
        # A training that goes on is compared with its settings.
        untrained = experiment.config.train.epochs == 0
        config = experiment.saved_config if untrained else experiment.config
        return {
            **{name: module.state_dict() for name, module in experiment.modules.items()},
            "optimizers": [optimizer.state_dict() for optimizer in experiment.optimizers],
            "schedules": [schedule.state_dict() for schedule in experiment.schedules],
            "random": random_states(experiment.device),
            "spec": describe_embedder(config).to_dict(),
            "config": dump_config(config),
            "num_classes": experiment.splits.train.num_classes,
            **progress.state(),
        }


class Request(NamedTuple):
    """What an `Interruption` asks of a training after a step: to save now, and then to stop."""

    save: bool
    stop: bool


class Interruption:
    """When to save within an epoch and whether to stop, decided by all processes together.

    `poll` reports the signals that `receive` gets; a second Ctrl-C ends the training at once.
    """

    def __init__(self, save_minutes: float | None, group: Group = None) -> None:
        self._group = group
        self._period = float("inf") if save_minutes is None else 60 * save_minutes
        self._saved = time.monotonic()
        self._received: set[int] = set()
        self.status = CONTINUE

    def receive(self, status: int) -> None:
        """Take note of a signal, see `heed_signals`."""
        if status == INTERRUPTED and status in self._received:
            raise Stopped(status)
        self._received.add(status)

    def poll(self) -> Request:
        """Return what to do now; all processes of the group must poll."""
        stop = bool(self._received)
        due = stop or time.monotonic() - self._saved >= self._period
        flags = (due, stop, INTERRUPTED in self._received)
        save, stop, interrupted = any_process(*flags, group=self._group)
        if interrupted:
            self.status = INTERRUPTED
        if save:
            self._saved = time.monotonic()
        return Request(save, stop)
