"""Densely-anchored sampling: synthetic points by scaling channels and shifting samples."""

import torch
from torch import Tensor
from typing_extensions import Unpack

from gcahng.generators.base import GeneratorArguments
from gcahng.generators.hardest_point import HardestPoint
from gcahng.graph import BatchLayout


class DenselyAnchoredSampling(HardestPoint):
    r"""Scale the discriminative channels of samples and shift them by intra-class differences.

    .. math:: \hat z = z \odot \sigma + \epsilon \, t

    where σ scales the channels that are most often among the largest of the class
    (discriminative feature scaling, factors ~ U(low, high)) and t is a difference between two
    samples of the class, stored from earlier batches (memorized transformation shifting). The
    points carry no gradient, as in the published code. Difference from the original: the points are
    candidates for the hardest negative instead of joining the batch.

    Args:
        embedding_dim: D.
        num_classes: Number of training classes.
        produced: Points per sample.
        channels: Number of scaled channels.
        scale: Range of the factors, (low, high).
        shift: ε.
        remembered: Stored differences per class.
        **settings: As `NegativeGenerator`.

    Raises:
        ValueError: If an argument is out of range.

    Source: Liu et al. (ECCV 2022), sections 3.2 and 3.3.

    Example:
        >>> generator = DenselyAnchoredSampling(8, num_classes=2, channels=2, produced=3)
        >>> result = generator(torch.randn(6, 8), torch.tensor([0, 0, 0, 1, 1, 1]))
        >>> result.negatives.shape
        torch.Size([3, 2, 2, 8])
        >>> generator.filled  # differences stored per class
        tensor([3, 3])
    """

    counts: Tensor
    bank: Tensor
    filled: Tensor

    has_memory_bank = True

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        *,
        produced: int = 3,
        channels: int = 4,
        scale: tuple[float, float] = (0.5, 2.0),
        shift: float = 0.01,
        remembered: int = 10,
        **settings: Unpack[GeneratorArguments],
    ) -> None:
        super().__init__(embedding_dim, num_classes, **settings)
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
        """Create `produced` points per sample; in training, store the batch's differences before.

        The memory is left alone in evaluation, such as for the pictures of a finished run.
        """
        classes = layout.classes
        if self.training:
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
        """Count how often each channel is among the largest of a class's samples."""
        largest = slots.topk(self.channels, dim=-1).indices
        ones = torch.zeros_like(slots, dtype=torch.int64).scatter_(2, largest, 1)
        self.counts.index_add_(0, classes, ones.sum(0))

    def _remember(self, slots: Tensor, classes: Tensor) -> None:
        """Write the differences between neighbouring slots to each class's ring buffer."""
        for difference in slots - slots.roll(-1, 0):
            place = self.filled[classes] % self.bank.size(1)
            self.bank[classes, place] = difference.to(self.bank)
            self.filled[classes] += 1
