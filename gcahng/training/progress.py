"""The progress of a training: what a checkpoint holds of it, and where it is reported."""

import time
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import torch

from gcahng.config.sections import TrainConfig
from gcahng.evaluation.comparison import standard_error
from gcahng.evaluation.retrieval import QueryScores

# The entries that are scores of single queries.
SCORES = ("best_scores", "untrained")


class WorkClock:
    """Sum the seconds of training: CPU time of all threads on a CPU, else wall time."""

    def __init__(self, device: torch.device, seconds: float = 0.0) -> None:
        self._now = time.process_time if device.type == "cpu" else time.perf_counter
        self.seconds = seconds

    def start(self) -> None:
        """Begin to measure."""
        self._began = self._now()

    def stop(self) -> None:
        """Add the time since `start`."""
        self.seconds += self._now() - self._began


@dataclass
class TrainingProgress:
    """Epochs, times and figures so far."""

    clock: WorkClock
    epoch: int = 0
    peak_memory_mib: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, float] | None = None
    best_scores: QueryScores | None = None
    highest: dict[str, float] | None = None
    step: int = 0
    losses: dict[str, Any] = field(default_factory=dict)
    zero_shot: dict[str, float] = field(default_factory=dict)
    untrained: QueryScores | None = None

    @property
    def best_epoch(self) -> int:
        """The epoch that is kept so far; 0 before there is one."""
        return 0 if self.best is None else int(self.best["epoch"])

    @property
    def best_value(self) -> float | None:
        """Its value; None before there is one."""
        return None if self.best is None else self.best["value"]

    def reached_limit(self, limits: TrainConfig, figure: str) -> str | None:
        """Which of the limits ends the training after the present epoch; None if it continues."""
        if self.step:  # an epoch was interrupted
            return None
        highest = 0 if self.highest is None else self.highest["epoch"]
        without_improvement = sum(figure in r and r["epoch"] > highest for r in self.history)
        values = (self.epoch, self.clock.seconds, without_improvement)
        for name, value in zip(("epochs", "max_seconds", "patience"), values, strict=True):
            limit = getattr(limits, name)
            if limit is not None and value >= limit:
                return name
        return None

    def noise(self, scores: QueryScores | None, metric: str) -> float:
        """One standard error, over classes, of the difference to the kept epoch; 0 if unknown."""
        if scores is None or self.best_scores is None:
            return 0.0
        return standard_error(scores, self.best_scores, metric)

    def keep_if_better(
        self, value: float, noise: float = 0.0, scores: QueryScores | None = None
    ) -> bool:
        """Keep the present epoch if its value is better than that kept by more than the noise."""
        if self.highest is None or value > self.highest["value"]:
            self.highest = {"epoch": self.epoch, "value": value}
        if self.best is not None and not value > self.best["value"] + noise:
            return False
        self.best, self.best_scores = {"epoch": self.epoch, "value": value}, scores
        return True

    def state(self) -> dict[str, Any]:
        """The entries of a checkpoint."""
        state = {name: value for name, value in vars(self).items() if name != "clock"}
        scores = {name: state[name] and vars(state[name]) for name in SCORES}
        return {**state, **scores, "seconds": self.clock.seconds}

    @classmethod
    def restore(cls, state: dict[str, Any], device: torch.device) -> "TrainingProgress":
        """Read the entries of a checkpoint."""
        values = {one.name: state[one.name] for one in fields(cls) if one.name != "clock"}
        scores = {name: state[name] and QueryScores(**state[name]) for name in SCORES}
        return cls(WorkClock(device, state["seconds"]), **values | scores)


class Display(Protocol):
    """What a trainer calls; `gcahng.commands.terminal` draws it as a progress bar."""

    def work(self, title: str, done: int, total: int) -> None:
        """Called during work beside the steps: warm start, features, evaluation."""

    def step(self, epoch: int, step: int, steps: int, losses: dict[str, float]) -> None:
        """Called about once a second with the mean losses of the epoch so far."""

    def epoch(self, row: dict[str, float], best: float | None) -> None:
        """Called after each epoch with its figures and the best value so far."""
