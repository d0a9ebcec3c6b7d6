"""The progress of a training: what a checkpoint holds beside networks and optimizers."""

from dataclasses import dataclass, field
from typing import Any

import torch

from gcahng.config.sections import TrainConfig
from gcahng.evaluation.comparison import standard_error
from gcahng.evaluation.retrieval import QueryScores
from gcahng.training.clock import WorkClock


@dataclass
class TrainingProgress:
    """Epochs, times and figures so far.

    Attributes:
        clock: Seconds of training.
        epoch: Number of the present epoch, from 1; 0 before the first.
        peak_memory_mib: Largest memory so far.
        history: A row of figures for each whole epoch.
        hardness: A row for each epoch: how hard the negatives of its last batch were.
        best: Number and value of the epoch that is kept; None before there is one.
        best_scores: Its scores of the single queries; None if they are not known.
        highest: Number and value of the epoch with the highest value.
        step: Steps of the present epoch, if the training goes on within it; else 0.
        losses: Their losses, as `LossLog.state`.
        zero_shot: Figures before training, as `Start.figures`; empty if not measured.
        untrained: Scores of the test queries with the untrained network, as `Start.untrained`.
    """

    clock: WorkClock
    epoch: int = 0
    peak_memory_mib: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    hardness: list[dict[str, Any]] = field(default_factory=list)
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

    def ended_by(self, limits: TrainConfig, figure: str) -> str | None:
        """Which of the limits ends the training after the present epoch; None if it goes on.

        Args:
            limits: The settings of `train`.
            figure: Key, in the rows of the history, of the figure that chooses the best epoch.
        """
        if self.step:  # an epoch was interrupted
            return None
        highest = 0 if self.highest is None else self.highest["epoch"]
        in_vain = sum(figure in row and row["epoch"] > highest for row in self.history)
        reached = {"epochs": self.epoch, "max_seconds": self.clock.seconds, "patience": in_vain}
        for name, value in reached.items():
            limit = getattr(limits, name)
            if limit is not None and value >= limit:
                return name
        return None

    def noise(self, scores: QueryScores | None, metric: str) -> float:
        """Return by how much the value of the present epoch may differ from that kept by chance.

        It is one standard error, over classes, of the difference; 0 where it is not known.
        """
        if scores is None or self.best_scores is None:
            return 0.0
        return standard_error(scores, self.best_scores, metric)

    def improves(self, value: float, noise: float = 0.0, scores: QueryScores | None = None) -> bool:
        """Whether the present epoch is better than the one kept; if so, keep it.

        Args:
            value: Its figure.
            noise: By how much it has to be better; equal or hardly better epochs are not kept.
            scores: Of the single queries.
        """
        if self.highest is None or value > self.highest["value"]:
            self.highest = {"epoch": self.epoch, "value": value}
        if self.best is not None and not value > self.best["value"] + noise:
            return False
        self.best, self.best_scores = {"epoch": self.epoch, "value": value}, scores
        return True

    def state(self) -> dict[str, Any]:
        """The entries of a checkpoint."""
        return {
            "epoch": self.epoch,
            "seconds": self.clock.seconds,
            "peak_memory_mib": self.peak_memory_mib,
            "history": self.history,
            "hardness": self.hardness,
            "best": self.best,
            "best_scores": self.best_scores and vars(self.best_scores),
            "highest": self.highest,
            "step": self.step,
            "losses": self.losses,
            "zero_shot": self.zero_shot,
            "untrained": self.untrained and vars(self.untrained),
        }

    @classmethod
    def restore(cls, state: dict[str, Any], device: torch.device) -> "TrainingProgress":
        """Read the entries of a checkpoint.

        Raises:
            KeyError: If one is missing.
        """
        clock = WorkClock(device, state["seconds"])
        kept, untrained = state["best_scores"], state["untrained"]
        names = ("epoch", "peak_memory_mib", "history", "hardness", "best", "highest")
        return cls(
            clock,
            best_scores=kept and QueryScores(**kept),
            untrained=untrained and QueryScores(**untrained),
            **{name: state[name] for name in (*names, "step", "losses", "zero_shot")},
        )
