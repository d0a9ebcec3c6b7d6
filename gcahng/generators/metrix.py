"""Metrix: mixup of negatives with the positive and of their labels."""

import torch
from torch import Tensor
from typing_extensions import Unpack

from gcahng.arguments import Positive, check_positive
from gcahng.generators.base import GeneratorArguments, NegativeGenerator, Synthetic
from gcahng.graph import BatchLayout


class Metrix(NegativeGenerator):
    r"""Mix positive and negative embeddings, with soft labels in the same proportion.

    .. math:: t_{p,a,b} = \lambda \, z_{p',a} + (1 - \lambda) \, z_{p,b}, \quad
        \lambda \sim \mathrm{Beta}(\mu, \mu)

    with p' = (p + 1) mod P. In the softmax over an anchor's points, the target of t is
    λ / (1 + Σ λ) and that of the positive 1 / (1 + Σ λ). Differences from the original: a softmax
    replaces the separate sums over positives and negatives; only positive-negative pairs are mixed,
    at the embeddings; and the mixed points replace the real negatives in an additional loss term.

    Args:
        mixing: μ, above 0.
        **settings: As `NegativeGenerator`.

    Source: Venkataramanan et al. (ICLR 2022), section 3.4.

    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        *,
        mixing: Positive = 2.0,
        **settings: Unpack[GeneratorArguments],
    ) -> None:
        super().__init__(embedding_dim, num_classes, **settings)
        check_positive(mixing=mixing)
        self.mixing = mixing

    def make_negatives(self, slots: Tensor, layout: BatchLayout, draws: Tensor | None) -> Synthetic:
        """Mix every negative of the anchor's slot with the positive."""
        samples, classes, _ = slots.shape
        beta = torch.distributions.Beta(self.mixing, self.mixing)
        positive_share = beta.sample(torch.Size((samples, classes, classes))).to(slots)
        mixed = torch.lerp(
            slots.unsqueeze(1), slots.roll(-1, 0).unsqueeze(2), positive_share.unsqueeze(-1)
        )
        return Synthetic(mixed, positive_share)
