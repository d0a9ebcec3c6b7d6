"""The progress of a training: what a checkpoint holds beside networks and optimizers."""

from dataclasses import dataclass, field
from typing import Any

import torch

from gcahng.config.training import TrainConfig
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
        best: Number and value of the best epoch; None before there is one.
        step: Steps of the present epoch, if the training goes on within it; else 0.
        losses: Their losses, as `LossLog.state`.
        zero_shot: Figures before training, as `Measurements.zero_shot`; empty if not measured.
    """

    clock: WorkClock
    epoch: int = 0
    peak_memory_mib: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    hardness: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, float] | None = None
    step: int = 0
    losses: dict[str, Any] = field(default_factory=dict)
    zero_shot: dict[str, float] = field(default_factory=dict)

    @property
    def best_epoch(self) -> int:
        """The best epoch so far; 0 before there is one."""
        return 0 if self.best is None else int(self.best["epoch"])

    @property
    def best_value(self) -> float | None:
        """The best value so far; None before there is one."""
        return None if self.best is None else self.best["value"]

    def ended_by(self, limits: TrainConfig, figure: str) -> str | None:
        """Which of the limits ends the training after the present epoch; None if it goes on.

        Args:
            limits: The settings of `train`.
            figure: Key, in the rows of the history, of the figure that chooses the best epoch.
        """
        if self.step:  # an epoch was interrupted
            return None
        in_vain = sum(figure in row and row["epoch"] > self.best_epoch for row in self.history)
        reached = {"epochs": self.epoch, "max_seconds": self.clock.seconds, "patience": in_vain}
        for name, value in reached.items():
            limit = getattr(limits, name)
            if limit is not None and value >= limit:
                return name
        return None

    def improves(self, value: float | None) -> bool:
        """Whether the present epoch is the best so far; if so, remember it."""
        if value is None or (self.best is not None and value <= self.best["value"]):
            return False
        self.best = {"epoch": self.epoch, "value": value}
        return True

    def state(self) -> dict[str, Any]:
        """The entries of a checkpoint."""
        return {
            "epoch": self.epoch,
            **self.clock.state(),
            "peak_memory_mib": self.peak_memory_mib,
            "history": self.history,
            "hardness": self.hardness,
            "best": self.best,
            "step": self.step,
            "losses": self.losses,
            "zero_shot": self.zero_shot,
        }

    @classmethod
    def restore(cls, state: dict[str, Any], device: torch.device) -> "TrainingProgress":
        """Read the entries of a checkpoint, also of one by an earlier version."""
        # Earlier versions measured no work, and the rest of it alone would be misleading.
        clock = WorkClock(device, state["seconds"], state.get("work_seconds"))
        hardness = state.get("hardness", [])
        memory, history = state["peak_memory_mib"], state["history"]
        within = (state.get("step", 0), state.get("losses", {}), state.get("zero_shot", {}))
        return cls(clock, state["epoch"], memory, history, hardness, state["best"], *within)
