"""Densely-anchored sampling: new points by scaling a class's channels and shifting its samples."""

from typing import Any

import torch
from torch import Tensor

from gcahng.generators.hardest_point import HardestPoint
from gcahng.graph import BatchLayout


class DenselyAnchoredSampling(HardestPoint):
    r"""Samples whose telling channels are scaled, shifted as other samples of their class differ.

    .. math:: \hat z = z \odot \sigma + \epsilon \, t

    where σ scales the channels that are most often among the largest of the class
    (discriminative feature scaling, factors ~ U(low, high)) and t is one of the differences of two
    samples of the class, remembered from earlier batches (memorized transformation shifting). The
    points carry no gradient, as in the published code. Differences from the original: the points
    serve as negatives, of which the hardest is picked, instead of joining the batch.

    Args:
        produced: Points made of each sample.
        channels: How many channels are scaled.
        scale: Limits of the factors, (low, high).
        shift: ε.
        remembered: Differences remembered for each class.
        *args: As `NegativeGenerator`.
        **settings: As `NegativeGenerator`.

    Raises:
        ValueError: If a number is out of range.

    Source: Liu et al. (ECCV 2022), sections 3.2 and 3.3.
    """

    counts: Tensor
    bank: Tensor
    filled: Tensor

    has_memory_bank = True

    def __init__(
        self,
        *args: Any,
        produced: int = 3,
        channels: int = 4,
        scale: tuple[float, float] = (0.5, 2.0),
        shift: float = 0.01,
        remembered: int = 10,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        if produced < 1 or remembered < 1 or not 1 <= channels <= self.embedding_dim:
            raise ValueError(
                "Expected 'produced' ≥ 1, 'remembered' ≥ 1 and 'channels' between 1 and "
                f"{self.embedding_dim} (got {produced}, {remembered} and {channels})"
            )
        if len(scale) != 2 or not 0 <= scale[0] <= scale[1]:
            raise ValueError(f"Expected 'scale' as two ascending factors ≥ 0 (got {scale})")
        self.produced, self.channels, self.scale, self.shift = produced, channels, scale, shift
        size = (self.num_classes, self.embedding_dim)
        self.register_buffer("counts", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("bank", torch.zeros(size[0], remembered, size[1]))
        self.register_buffer("filled", torch.zeros(self.num_classes, dtype=torch.int64))

    @torch.no_grad()
    def points(self, slots: Tensor, layout: BatchLayout) -> Tensor:
        """Remember the batch, then make `produced` points of each sample."""
        classes = layout.classes
        self._count(slots, classes)
        self._remember(slots, classes)
        top = self.counts[classes].topk(self.channels, dim=-1).indices
        known = self.filled[classes].clamp(max=self.bank.size(1))
        made = []
        for _ in range(self.produced):
            factors = torch.empty(*slots.shape[:2], self.channels, device=slots.device)
            scaled = slots.detach().clone()
            index = top.expand_as(factors)
            part = scaled.gather(2, index) * factors.uniform_(*self.scale).to(scaled)
            scaled.scatter_(2, index, part)
            pick = (torch.rand(slots.shape[:2], device=slots.device) * known).long()
            made.append(scaled + self.shift * self.bank[classes, pick].to(scaled))
        return torch.cat(made)

    def _count(self, slots: Tensor, classes: Tensor) -> None:
        """Count for each class which channels are among the largest of its samples."""
        largest = slots.topk(self.channels, dim=-1).indices
        ones = torch.zeros_like(slots, dtype=torch.int64).scatter_(2, largest, 1)
        self.counts.index_add_(0, classes, ones.sum(0))

    def _remember(self, slots: Tensor, classes: Tensor) -> None:
        """Put the differences between neighbouring slots into each class's ring of memory."""
        for difference in slots - slots.roll(-1, 0):
            place = self.filled[classes] % self.bank.size(1)
            self.bank[classes, place] = difference.to(self.bank)
            self.filled[classes] += 1
