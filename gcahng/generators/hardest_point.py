"""Negatives picked from points that are made of a class's own samples."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gcahng.generators.base import NegativeGenerator, Synthetic
from gcahng.graph import BatchLayout


class HardestPoint(NegativeGenerator):
    r"""For every anchor and class, the most similar of the class's real and synthetic points.

    .. math:: t_{p,a,b} = \arg\max_{c \in C_b} z_{p,a} \cdot c

    A subclass makes the synthetic points of the classes; the real ones are always among C_b. The
    arguments are those of `NegativeGenerator`.
    """

    def make_negatives(self, slots: Tensor, layout: BatchLayout, draws: Tensor | None) -> Synthetic:
        """Pick one point of each class for each anchor."""
        points = torch.cat([slots, self.points(slots, layout)])
        similarity = torch.einsum("pad,kbd->pabk", slots.detach(), points.detach())
        hardest = similarity.argmax(dim=-1)
        classes = torch.arange(slots.size(1), device=slots.device).expand_as(hardest)
        return Synthetic(points[hardest, classes])

    @abstractmethod
    def points(self, slots: Tensor, layout: BatchLayout) -> Tensor:
        """Synthetic points [K, S, D], K of each of the S classes."""


class HardestReal(HardestPoint):
    """The control for points made of a class's samples: none are made, the real ones are left.

    The arguments are those of `NegativeGenerator`.
    """

    def points(self, slots: Tensor, layout: BatchLayout) -> Tensor:
        """None at all."""
        return slots[:0]


class SymmetricalSynthesis(HardestPoint):
    r"""Each sample mirrored at the axis of another sample of its class.

    .. math:: z' = z + \beta \, (\mathrm{proj}_{z^+} z - z), \quad
        \mathrm{proj}_{z^+} z = \frac{z \cdot z^+}{\lVert z^+ \rVert^2} z^+

    for the samples z, z⁺ of neighbouring slots, both ways; β = 2 keeps the length. Differences
    from the original: the anchor stays a real sample, and of more than two samples of a class only
    neighbouring slots are paired.

    Args:
        reflection: β.
        *args: As `NegativeGenerator`.
        **settings: As `NegativeGenerator`.

    Source: Gu and Ko (AAAI 2020), equations 3 to 5.
    """

    def __init__(self, *args: Any, reflection: float = 2.0, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.reflection = reflection

    def points(self, slots: Tensor, layout: BatchLayout) -> Tensor:
        """Mirror each sample at its two neighbours."""
        mirrored = []
        for shift in _neighbours(slots.size(0)):
            axis = F.normalize(slots.roll(shift, 0), dim=-1)
            projection = (slots * axis).sum(-1, keepdim=True) * axis
            mirrored.append(slots + self.reflection * (projection - slots))
        return torch.cat(mirrored)


class EmbeddingExpansion(HardestPoint):
    r"""Points that divide the line between two samples of a class into equal parts.

    .. math:: \bar z_i = \frac{i \, z + (n + 1 - i) \, z^+}{n + 1}, \quad i = 1, \dots, n

    each brought to the length that the two ends have in the same proportion (to 1 on the unit
    sphere, as in the original). Differences from the original: the anchor stays a real sample, and
    of more than two samples of a class only neighbouring slots are paired.

    Args:
        points_between: n, at least 1.
        *args: As `NegativeGenerator`.
        **settings: As `NegativeGenerator`.

    Raises:
        ValueError: If `points_between` is below 1.

    Source: Ko and Gu (CVPR 2020), equations 6 to 8.
    """

    def __init__(self, *args: Any, points_between: int = 2, **settings: Any) -> None:
        super().__init__(*args, **settings)
        if points_between < 1:
            raise ValueError(f"Expected 'points_between' of at least 1 (got {points_between})")
        self.points_between = points_between

    def points(self, slots: Tensor, layout: BatchLayout) -> Tensor:
        """Divide the line from each sample to the next slot's."""
        other, made = slots.roll(-1, 0), []
        length, other_length = slots.norm(dim=-1), other.norm(dim=-1)
        for i in range(1, self.points_between + 1):
            share = i / (self.points_between + 1)
            point = share * slots + (1 - share) * other
            wanted = share * length + (1 - share) * other_length
            made.append(F.normalize(point, dim=-1) * wanted.unsqueeze(-1))
        # Of two samples, the line from the second to the first is the same line.
        points = torch.stack(made)
        return (points[:, :1] if slots.size(0) == 2 else points).flatten(0, 1)


def _neighbours(samples: int) -> tuple[int, ...]:
    """By how much to roll the slots so that each meets its neighbours once."""
    return (1,) if samples == 2 else (1, -1)
