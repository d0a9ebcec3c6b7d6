"""Metrix: negatives mixed with the positive, and their labels with them."""

from typing import Any

import torch
from torch import Tensor

from gcahng.generators.base import NegativeGenerator, Synthetic
from gcahng.graph import BatchLayout


class Metrix(NegativeGenerator):
    r"""Embeddings mixed between positive and negative, as much a positive as they are mixed.

    .. math:: t_{p,a,b} = \lambda \, z_{p',a} + (1 - \lambda) \, z_{p,b}, \quad
        \lambda \sim \mathrm{Beta}(\mu, \mu)

    with p' = (p + 1) mod P. In the softmax over an anchor's points, the target of t is
    λ / (1 + Σ λ) and that of the positive 1 / (1 + Σ λ). Differences from the original: its
    formulation sums over positives and negatives apart, this one is a softmax; only
    positive-negative pairs are mixed, at the embeddings; and the mixed points come in place of the
    real negatives in a term of their own beside the metric loss.

    Args:
        mixing: μ, above 0.
        *args: As `NegativeGenerator`.
        **settings: As `NegativeGenerator`.

    Raises:
        ValueError: If `mixing` is not above 0.

    Source: Venkataramanan et al. (ICLR 2022), section 3.4.
    """

    def __init__(self, *args: Any, mixing: float = 2.0, **settings: Any) -> None:
        super().__init__(*args, **settings)
        if mixing <= 0:
            raise ValueError(f"Expected 'mixing' > 0 (got {mixing})")
        self.mixing = mixing

    def make_negatives(self, slots: Tensor, layout: BatchLayout, draws: Tensor | None) -> Synthetic:
        """Mix every negative of the anchor's own slot with the positive."""
        samples, classes, _ = slots.shape
        beta = torch.distributions.Beta(self.mixing, self.mixing)
        positive_share = beta.sample(torch.Size((samples, classes, classes))).to(slots)
        mixed = torch.lerp(
            slots.unsqueeze(1), slots.roll(-1, 0).unsqueeze(2), positive_share.unsqueeze(-1)
        )
        return Synthetic(mixed, positive_share)
