"""Negatives moved towards their anchors by coefficients that nothing has learned."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from gcahng.generators.base import NegativeGenerator, Synthetic, draw_fold_scalars
from gcahng.graph import BatchLayout, synthetic_negatives


class FixedMixing(NegativeGenerator):
    r"""GCA-HNG's interpolation and folding with other coefficients than the graph's.

    .. math:: \tilde n = z_a + (z_n - z_a) \odot \lambda, \quad
        \lambda = r + (1 - r) \, s \, \eta, \quad r = \min(1, d^+ / d^-)

    A subclass gives the strength s and the coefficients η. The arguments are those of
    `NegativeGenerator`.
    """

    def make_negatives(self, slots: Tensor, layout: BatchLayout, draws: Tensor | None) -> Synthetic:
        """Move every negative, then fold the P candidates of a class into one."""
        nodes = slots.size(0) * slots.size(1)
        shape = torch.Size((nodes, nodes, slots.size(2)))
        strength, eta = self.mixture(slots, shape)
        draws, detach = draw_fold_scalars(slots, draws), self.detach_anchor
        return Synthetic(synthetic_negatives(slots, eta, strength, draws, detach_anchor=detach))

    @abstractmethod
    def mixture(self, slots: Tensor, shape: torch.Size) -> tuple[Tensor | float, Tensor]:
        """The strength s, and the coefficients η of shape [B, B, D] in [0, 1]."""


class HDML(FixedMixing):
    r"""Hardness-aware deep metric learning: every channel is moved alike, η ≡ 1.

    :math:`s = e^{-\alpha / \bar J}` grows harder as the metric loss falls. Differences from the
    original: no generator network maps the moved point back to a real-looking embedding, and the
    P candidates of a class are folded.

    Args:
        alpha: Decay of s with the metric loss.
        *args: As `NegativeGenerator`.
        **settings: As `NegativeGenerator`.

    Source: Zheng et al. (CVPR 2019), equation 5.
    """

    def __init__(self, *args: Any, alpha: float = 5.0, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.alpha = alpha

    def mixture(self, slots: Tensor, shape: torch.Size) -> tuple[Tensor | float, Tensor]:
        """The scheduled strength, and ones."""
        return self.hardness.strength(self.alpha).to(slots.dtype), slots.new_ones(()).expand(shape)


class Scalar(FixedMixing):
    """One constant for all pairs, channels and epochs: λ = r + (1 - r) · value.

    Args:
        value: In [0, 1]; 0 moves a negative to the positive's distance, 1 leaves it.
        *args: As `NegativeGenerator`.
        **settings: As `NegativeGenerator`.

    Raises:
        ValueError: If `value` lies outside [0, 1].
    """

    def __init__(self, *args: Any, value: float = 0.5, **settings: Any) -> None:
        super().__init__(*args, **settings)
        if not 0 <= value <= 1:
            raise ValueError(f"Expected 'value' in [0, 1] (got {value})")
        self.value = value

    def mixture(self, slots: Tensor, shape: torch.Size) -> tuple[Tensor | float, Tensor]:
        """The constant, and ones."""
        return self.value, slots.new_ones(()).expand(shape)


class Unmoved(FixedMixing):
    """The control for every moved negative: the same extra loss, negatives left where they are.

    The P real negatives of a class are still folded into one. The arguments are those of
    `NegativeGenerator`.
    """

    def mixture(self, slots: Tensor, shape: torch.Size) -> tuple[Tensor | float, Tensor]:
        """All of the way, in every channel."""
        return 1.0, slots.new_ones(()).expand(shape)


class RandomChannel(FixedMixing):
    r"""Channel-wise coefficients drawn afresh at every step, η ~ U(0, 1).

    Args:
        alpha: Decay of :math:`s = e^{-\alpha / \bar J}` with the metric loss, as in GCA-HNG.
        *args: As `NegativeGenerator`.
        **settings: As `NegativeGenerator`.
    """

    def __init__(self, *args: Any, alpha: float = 5.0, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.alpha = alpha

    def mixture(self, slots: Tensor, shape: torch.Size) -> tuple[Tensor | float, Tensor]:
        """The scheduled strength, and symmetric draws: a pair has one whichever end is anchor."""
        eta = torch.rand(shape, device=slots.device, dtype=slots.dtype)
        upper = torch.ones(shape[:2], dtype=torch.bool, device=slots.device).triu()
        eta = torch.where(upper.unsqueeze(-1), eta, eta.transpose(0, 1))
        return self.hardness.strength(self.alpha).to(slots.dtype), eta
