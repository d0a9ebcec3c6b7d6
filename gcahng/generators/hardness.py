"""Epoch means of the losses, which control the hardness and weight of the negatives."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

# Value before the first epoch ends: negatives are hardly moved and have almost no weight.
INITIAL = 1.0e6
FLOOR = 1.0e-6


class LossMeans(nn.Module):
    r"""Means of the metric and the generator loss over the previous epoch.

    .. math:: \bar J \leftarrow \mathrm{mean}_t \max(J_t, 10^{-6})

    at the end of each epoch; 1e6 before the first epoch ends. Means and current sums are buffers,
    which stay in float64 when the module is cast: in float32 a sum of many losses loses digits.

    Source: GCA-HNG (IJCV 2025), hardness from the running mean of the metric loss.
    """

    metric: Tensor
    generator: Tensor
    sums: Tensor
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("metric", torch.tensor(INITIAL, dtype=torch.float64))
        self.register_buffer("generator", torch.tensor(INITIAL, dtype=torch.float64))
        self.register_buffer("sums", torch.zeros(2, dtype=torch.float64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "LossMeans":
        """Move the buffers as `fn` does, but keep float64, except where a device has none."""

        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if moved.dtype == tensor.dtype or moved.device.type == "mps":
                return moved
            return tensor.to(moved.device)

        return super()._apply(move, recurse)

    def record(self, metric: Tensor, generator: Tensor) -> None:
        """Add the scalar losses of one iteration."""
        losses = torch.stack([metric.detach(), generator.detach()]).to(self.sums)
        self.sums += losses.clamp(min=FLOOR)
        self.steps += 1

    def end_epoch(self) -> None:
        """Update the means from the recorded losses, if any, and reset the sums."""
        if int(self.steps) > 0:
            self.metric.copy_(self.sums[0] / self.steps)
            self.generator.copy_(self.sums[1] / self.steps)
        self.sums.zero_()
        self.steps.zero_()

    def strength(self, alpha: float) -> Tensor:
        r""":math:`e^{-\alpha / \bar J}` in (0, 1]: the factor of η in the interpolation."""
        return torch.exp(-alpha / self.metric)

    def synthetic_weight(self, beta: float | None) -> Tensor:
        r""":math:`1 - e^{-\beta / J_{gen}}` in [0, 1): weight of the synthetic term; None: 1."""
        if beta is None:
            return torch.ones_like(self.generator)
        return 1 - torch.exp(-beta / self.generator)
