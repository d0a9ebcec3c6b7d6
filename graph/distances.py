"""How far positives, negatives and synthetic negatives are from their anchors."""

from typing import NamedTuple

import torch
from torch import Tensor

from gcahng.graph.precision import full_precision

ROUNDING = 1e-5


class Distances(NamedTuple):
    """Euclidean distances to the anchors of one batch, in units of the embedding.

    Attributes:
        positive: [P, S], of sample ((p + 1) mod P, a) to anchor (p, a).
        negative: [P, S, S-1, P], of every sample of the other classes.
        synthetic: [P, S, S-1], of the synthetic negative of each of them; None without.
    """

    positive: Tensor
    negative: Tensor
    synthetic: Tensor | None = None

    @property
    def harder(self) -> float | None:
        """Share of synthetic negatives nearer than their class's nearest real sample.

        By more than rounding: one that was left where it is counts as no nearer.
        """
        if self.synthetic is None:
            return None
        return float((self.synthetic < (1 - ROUNDING) * self.negative.amin(-1)).double().mean())


@torch.no_grad()
@full_precision
def batch_distances(slots: Tensor, negatives: Tensor | None = None) -> Distances:
    """Measure one batch.

    Args:
        slots: Embeddings [P, S, D] in slot-major order.
        negatives: [P, S, S, D], one for each anchor (p, a) and class b; those of b = a are left
            out.
    """
    samples, classes, _ = slots.shape
    flat = slots.flatten(0, 1)
    between = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    between = between.view(samples, classes, samples, classes).transpose(2, 3)
    slot, own = torch.arange(samples), torch.arange(classes)
    positive = between[slot[:, None], own, own, (slot[:, None] + 1) % samples]
    others = ~torch.eye(classes, dtype=torch.bool, device=slots.device)
    negative = between[:, others].view(samples, classes, classes - 1, samples)
    if negatives is None:
        return Distances(positive, negative)
    synthetic = torch.linalg.vector_norm(negatives - slots.unsqueeze(2), dim=-1)
    return Distances(positive, negative, synthetic[:, others].view(samples, classes, classes - 1))
