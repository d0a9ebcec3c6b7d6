"""Distances of positives, negatives and synthetic negatives to their anchors."""

from typing import NamedTuple

import torch
from torch import Tensor

from gcahng.graph.precision import full_precision

ROUNDING = 1e-5


class Distances(NamedTuple):
    """Euclidean distances to the anchors of one batch, in units of the embedding.

    Attributes:
        positive: [P, S], from anchor (p, a) to sample ((p + 1) mod P, a).
        negative: [P, S, S-1, P], to every sample of the other classes.
        synthetic: [P, S, S-1], to the synthetic negative of each other class, or None.
    """

    positive: Tensor
    negative: Tensor
    synthetic: Tensor | None = None

    @property
    def harder(self) -> float | None:
        """Share of synthetic negatives nearer than the nearest real sample, beyond rounding."""
        if self.synthetic is None:
            return None
        return float((self.synthetic < (1 - ROUNDING) * self.negative.amin(-1)).double().mean())


@torch.no_grad()
@full_precision
def batch_distances(slots: Tensor, negatives: Tensor | None = None) -> Distances:
    """Compute the distances of slots [P, S, D] and their negatives [P, S, S, D]; b = a left out."""
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
