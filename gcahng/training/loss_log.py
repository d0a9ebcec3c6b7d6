"""Mean losses of an epoch, and the check that all of them are finite."""

from typing import Any

import torch
from torch import Tensor


class NonFiniteLossError(ArithmeticError):
    """A loss or gradient norm is NaN or infinite; the message says where and what to try."""


class LossLog:
    """Collect the scalar losses of each step without waiting for the device.

    Args:
        epoch: Number of the epoch, for messages.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.names: list[str] = []
        self._rows: list[Tensor] = []

    def add(self, losses: dict[str, Tensor]) -> None:
        """Record one step; every step of an epoch has the same losses.

        Raises:
            NonFiniteLossError: On the CPU at once, on other devices in `means`.
        """
        self.names = list(losses)
        row = torch.stack([value.detach().double() for value in losses.values()])
        self._rows.append(row)
        if row.device.type == "cpu":
            self._check(row.unsqueeze(0), first=len(self._rows))

    def state(self) -> dict[str, Any]:
        """What a checkpoint within the epoch holds; waits for the device."""
        rows = torch.stack([row.cpu() for row in self._rows]) if self._rows else torch.empty(0)
        return {"names": self.names, "rows": rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.names, self._rows = list(state["names"]), list(state["rows"])

    def means(self) -> dict[str, float]:
        """Return the means over the steps so far; waits for the device.

        Raises:
            NonFiniteLossError: If any recorded value is NaN or infinite.
        """
        if not self._rows:
            return {}
        rows = torch.stack([row.cpu() for row in self._rows])
        self._check(rows, first=1)
        return dict(zip(self.names, rows.mean(0).tolist(), strict=True))

    def _check(self, rows: Tensor, first: int) -> None:
        wrong = (~rows.isfinite()).nonzero()
        if len(wrong) == 0:
            return
        row = int(wrong[0, 0])
        values = zip(self.names, rows[row].tolist(), strict=True)
        terms = ", ".join(f"{name} = {value:.4g}" for name, value in values)
        raise NonFiniteLossError(
            f"training diverged in step {first + row} of epoch {self.epoch} ({terms}); the "
            "checkpoint of the last complete epoch, if any, is kept; try a new run with a lower "
            "learning rate (optim.embedder.lr, optim.graph.lr), a smaller optim.clip, or "
            "fabric.precision=32-true instead of mixed precision"
        )
