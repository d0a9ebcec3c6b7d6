"""Interpolated negatives with fixed or random instead of learned coefficients."""

from abc import abstractmethod
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Unpack

from gcahng.generators.base import (
    GeneratorArguments,
    NegativeGenerator,
    Synthetic,
    draw_fold_scalars,
)
from gcahng.graph import BatchLayout, synthetic_negatives


class FixedMixing(NegativeGenerator):
    r"""Interpolate and fold candidates as GCA-HNG does, with coefficients from a subclass.

    .. math:: \tilde n = z_a + (z_n - z_a) \odot \lambda, \quad
        \lambda = r + (1 - r) \, s \, \eta, \quad r = \min(1, d^+ / d^-)

    A subclass provides the strength s and the coefficients η. Arguments as `NegativeGenerator`.
    """

    def make_negatives(self, slots: Tensor, layout: BatchLayout, draws: Tensor | None) -> Synthetic:
        """Interpolate every negative, then fold the P candidates of each class into one."""
        nodes = slots.size(0) * slots.size(1)
        shape = torch.Size((nodes, nodes, slots.size(2)))
        strength, eta = self.mixture(slots, shape)
        draws, detach = draw_fold_scalars(slots, draws), self.detach_anchor
        return Synthetic(synthetic_negatives(slots, eta, strength, draws, detach_anchor=detach))

    @abstractmethod
    def mixture(self, slots: Tensor, shape: torch.Size) -> tuple[Tensor | float, Tensor]:
        """Return the strength s and the coefficients η [B, B, D] in [0, 1]."""


class HDML(FixedMixing):
    r"""Hardness-aware deep metric learning: the same interpolation in every channel, η ≡ 1.

    Negatives become harder as the metric loss falls, :math:`s = e^{-\alpha / \bar J}`. Differences
    from the original: no generator network maps the interpolated point back to a realistic
    embedding, and the P candidates of a class are folded.

    Args:
        alpha: Decay of s with the metric loss.
        **settings: As `NegativeGenerator`.

    Source: Zheng et al. (CVPR 2019), equation 5.

    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        *,
        alpha: float = 5.0,
        **settings: Unpack[GeneratorArguments],
    ) -> None:
        super().__init__(embedding_dim, num_classes, **settings)
        self.alpha = alpha

    def mixture(self, slots: Tensor, shape: torch.Size) -> tuple[Tensor | float, Tensor]:
        """Return the scheduled strength and ones."""
        return self.hardness.strength(self.alpha).to(slots.dtype), slots.new_ones(()).expand(shape)


class Scalar(FixedMixing):
    """One constant for all pairs, channels and epochs: λ = r + (1 - r) · value.

    Args:
        value: In [0, 1]; 0 moves a negative to the positive's distance, 1 leaves it unchanged.
        **settings: As `NegativeGenerator`.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        *,
        value: Annotated[float, Field(ge=0, le=1)] = 0.5,
        **settings: Unpack[GeneratorArguments],
    ) -> None:
        super().__init__(embedding_dim, num_classes, **settings)
        self.value = value

    def mixture(self, slots: Tensor, shape: torch.Size) -> tuple[Tensor | float, Tensor]:
        """Return the constant and ones."""
        return self.value, slots.new_ones(()).expand(shape)


class Unmoved(FixedMixing):
    """Control for interpolated negatives: the same extra loss on unchanged real negatives.

    The P real negatives of a class are still folded into one. Arguments as `NegativeGenerator`.
    """

    def mixture(self, slots: Tensor, shape: torch.Size) -> tuple[Tensor | float, Tensor]:
        """Return strength 1 and ones, which leave every negative unchanged."""
        return 1.0, slots.new_ones(()).expand(shape)


class RandomChannel(HDML):
    """Channel-wise coefficients drawn at random in every step, η ~ U(0, 1); arguments as `HDML`."""

    def mixture(self, slots: Tensor, shape: torch.Size) -> tuple[Tensor | float, Tensor]:
        """Return the scheduled strength and symmetric random coefficients."""
        eta = torch.rand(shape, device=slots.device, dtype=slots.dtype)
        upper = torch.ones(shape[:2], dtype=torch.bool, device=slots.device).triu()
        eta = torch.where(upper.unsqueeze(-1), eta, eta.transpose(0, 1))
        return self.hardness.strength(self.alpha).to(slots.dtype), eta
