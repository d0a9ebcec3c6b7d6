"""The hardest negative among real samples and points synthesised within a class."""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from gcahng.arguments import AtLeast1, Weight
from gcahng.generators.base import GeneratorArguments, NegativeGenerator, Synthetic
from gcahng.graph import BatchLayout


class HardestPoint(NegativeGenerator):
    r"""For every anchor and class, select the most similar real or synthetic point of the class.

    .. math:: t_{p,a,b} = \arg\max_{c \in C_b} z_{p,a} \cdot c

    C_b contains the real samples of class b and the synthetic points of a subclass. Arguments as
    `NegativeGenerator`.
    """

    def make_negatives(self, slots: Tensor, layout: BatchLayout, draws: Tensor | None) -> Synthetic:
        """Select one point of each class for each anchor."""
        points = torch.cat([slots, self.points(slots, layout)])
        similarity = torch.einsum("pad,kbd->pabk", slots.detach(), points.detach())
        hardest = similarity.argmax(dim=-1)
        classes = torch.arange(slots.size(1), device=slots.device).expand_as(hardest)
        return Synthetic(points[hardest, classes])

    @abstractmethod
    def points(self, slots: Tensor, layout: BatchLayout) -> Tensor:
        """Create synthetic points [K, S, D], K for each of the S classes."""


class HardestReal(HardestPoint):
    """Control for synthetic points: the hardest real sample of each class; no own arguments."""

    def points(self, slots: Tensor, layout: BatchLayout) -> Tensor:
        """Return no points [0, S, D]."""
        return slots[:0]


class SymmetricalSynthesis(HardestPoint):
    r"""Reflect each sample about the axis through another sample of its class.

    .. math:: z' = z + 2 \, (\mathrm{proj}_{z^+} z - z), \quad
        \mathrm{proj}_{z^+} z = \frac{z \cdot z^+}{\lVert z^+ \rVert^2} z^+

    for samples z, z⁺ of neighbouring slots, in both directions; this preserves the length.
    Differences from the original: the anchor is always a real sample, and only neighbouring slots
    of a class are paired. Arguments as `NegativeGenerator`.

    Source: Gu and Ko (AAAI 2020), equations 3 to 5.
    """

    def points(self, slots: Tensor, layout: BatchLayout) -> Tensor:
        """Reflect each sample about its neighbours."""
        mirrored = []
        # With two samples per class, both neighbours are the same.
        for shift in (1,) if slots.size(0) == 2 else (1, -1):
            axis = F.normalize(slots.roll(shift, 0), dim=-1)
            projection = (slots * axis).sum(-1, keepdim=True) * axis
            mirrored.append(slots + 2 * (projection - slots))
        return torch.cat(mirrored)


class EmbeddingExpansion(HardestPoint):
    r"""Points at equal steps on the line between two samples of a class.

    .. math:: \bar z_i = \frac{i \, z + (n + 1 - i) \, z^+}{n + 1}, \quad i = 1, \dots, n

    each rescaled to the linearly interpolated length of the two endpoints (to 1 on the unit sphere,
    as in the original). Differences from the original: the anchor is always a real sample, and only
    neighbouring slots of a class are paired.

    Args:
        points_between: n, at least 1.
        **settings: As `NegativeGenerator`.

    Source: Ko and Gu (CVPR 2020), equations 6 to 8.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        *,
        points_between: AtLeast1 = 2,
        **settings: Unpack[GeneratorArguments],
    ) -> None:
        super().__init__(embedding_dim, num_classes, **settings)
        self.points_between = points_between

    def points(self, slots: Tensor, layout: BatchLayout) -> Tensor:
        """Create the points between each sample and that of the next slot."""
        other, made = slots.roll(-1, 0), []
        length, other_length = slots.norm(dim=-1), other.norm(dim=-1)
        for i in range(1, self.points_between + 1):
            share = i / (self.points_between + 1)
            point = share * slots + (1 - share) * other
            wanted = share * length + (1 - share) * other_length
            made.append(F.normalize(point, dim=-1) * wanted.unsqueeze(-1))
        # With two samples per class, both slots give the same line.
        points = torch.stack(made)
        return (points[:, :1] if slots.size(0) == 2 else points).flatten(0, 1)


class DenselyAnchoredSampling(HardestPoint):
    r"""Scale the discriminative channels of samples and shift them by intra-class differences.

    .. math:: \hat z = z \odot \sigma + \epsilon \, t

    where σ scales the channels that are most often among the largest of the class
    (discriminative feature scaling, factors ~ U(low, high)) and t is a difference between two
    samples of the class, stored from earlier batches (memorized transformation shifting). The
    points carry no gradient, as in the published code. Difference from the original: the points are
    candidates for the hardest negative instead of joining the batch.

    Args:
        produced: Points per sample.
        channels: Number of scaled channels.
        scale: Range of the factors, (low, high).
        shift: ε.
        remembered: Stored differences per class.
        **settings: As `NegativeGenerator`.

    Source: Liu et al. (ECCV 2022), sections 3.2 and 3.3.

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
        produced: AtLeast1 = 3,
        channels: AtLeast1 = 4,
        scale: tuple[Weight, Weight] = (0.5, 2.0),
        shift: float = 0.01,
        remembered: AtLeast1 = 10,
        **settings: Unpack[GeneratorArguments],
    ) -> None:
        super().__init__(embedding_dim, num_classes, **settings)
        if channels > self.embedding_dim:
            raise ValueError(f"Expected 'channels' of at most {embedding_dim} (got {channels})")
        if scale[0] > scale[1]:
            raise ValueError(f"Expected 'scale' as two ascending factors (got {scale})")
        self.produced, self.channels, self.scale, self.shift = produced, channels, scale, shift
        size = (self.num_classes, self.embedding_dim)
        self.register_buffer("counts", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("bank", torch.zeros(size[0], remembered, size[1]))
        self.register_buffer("filled", torch.zeros(self.num_classes, dtype=torch.int64))

    @torch.no_grad()
    def points(self, slots: Tensor, layout: BatchLayout) -> Tensor:
        """Create `produced` points per sample; in training, store the differences before."""
        classes = layout.classes
        if self.training:
            # How often each channel is among the largest of a class's samples.
            largest = slots.topk(self.channels, dim=-1).indices
            ones = torch.zeros_like(slots, dtype=torch.int64).scatter_(2, largest, 1)
            self.counts.index_add_(0, classes, ones.sum(0))
            # The differences between neighbouring slots go to each class's ring buffer.
            for difference in slots - slots.roll(-1, 0):
                place = self.filled[classes] % self.bank.size(1)
                self.bank[classes, place] = difference.to(self.bank)
                self.filled[classes] += 1
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
