"""Where a training reports its progress."""

from typing import Protocol


class Display(Protocol):
    """What a trainer calls; `gcahng.commands.terminal` draws it as a progress bar."""

    def warm_start(self, step: int, steps: int, loss: float) -> None:
        """Called after each step of the warm start."""

    def features(self, done: int, images: int) -> None:
        """Called while features are computed once, with the number of images done and of all."""

    def step(self, epoch: int, step: int, steps: int, losses: dict[str, float]) -> None:
        """Called about once a second with the mean losses of the epoch so far."""

    def evaluation(self, done: int, images: int) -> None:
        """Called during an evaluation with the number of images embedded, and of all images."""

    def epoch(self, row: dict[str, float], best: float | None) -> None:
        """Called after each epoch with its figures and the best value so far."""
