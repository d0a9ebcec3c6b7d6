"""Mean losses of an epoch, and the check that all of them are finite."""

from collections.abc import Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor


class NonFiniteLossError(ValueError):
    """A loss or gradient norm is NaN or infinite; the message says where and what to try."""


class LossLog:
    """Collect the scalar losses of each step without waiting for the device.

    Args:
        epoch: Number of the epoch, for messages.
        state: The `state` of an interrupted epoch, to go on from; empty: none.
    """

    def __init__(self, epoch: int, state: Mapping[str, Any] | None = None) -> None:
        self.epoch = epoch
        self.names: list[str] = list(state["names"]) if state else []
        self._rows: list[Tensor] = list(state["rows"]) if state else []
        # Rows that have not been copied from the device yet.
        self._new: list[Tensor] = []

    def add(self, losses: dict[str, Tensor]) -> None:
        """Record one step; every step of an epoch has the same losses.

        Raises:
            NonFiniteLossError: On the CPU at once, on other devices in `means`.
        """
        self.names = list(losses)
        row = torch.stack([value.detach().double() for value in losses.values()])
        self._new.append(row)
        if row.device.type == "cpu":
            self._fetch()

    def state(self) -> dict[str, Any]:
        """What a checkpoint within the epoch holds; waits for the device."""
        self._fetch()
        return {"names": self.names, "rows": torch.stack(self._rows)}

    def means(self) -> dict[str, float]:
        """Return the means over the steps so far; waits for the device.

        Raises:
            NonFiniteLossError: If any recorded value is NaN or infinite.
        """
        self._fetch()
        if not self._rows:
            return {}
        return dict(zip(self.names, torch.stack(self._rows).mean(0).tolist(), strict=True))

    def _fetch(self) -> None:
        """Copy the new rows from the device, and check them."""
        if not self._new:
            return
        rows = torch.stack(self._new).cpu()
        wrong = (~rows.isfinite()).nonzero()
        if len(wrong):
            self._report(rows[wrong[0, 0]], number=len(self._rows) + int(wrong[0, 0]) + 1)
        self._rows += rows.unbind()
        self._new = []

    def _report(self, row: Tensor, number: int) -> NoReturn:
        values = zip(self.names, row.tolist(), strict=True)
        terms = ", ".join(f"{name} = {value:.4g}" for name, value in values)
        raise NonFiniteLossError(
            f"training diverged in step {number} of epoch {self.epoch} ({terms}); the "
            "checkpoint of the last complete epoch, if any, is kept; try a new run with a lower "
            "learning rate (optim.embedder.lr, optim.graph.lr), a smaller optim.clip, or "
            "fabric.precision=32-true instead of mixed precision"
        )
