"""Channel-adaptive interpolation: pull each negative towards its anchor, channel by channel."""

import torch
from torch import Tensor

from graph.precision import full_precision

DISTANCE_EPS = 1e-6  # as in torch's pairwise_distance


def anchor_distances(slots: Tensor) -> Tensor:
    r"""Distances :math:`\lVert z_{p,a} - z_{n,b} + 10^{-6} \rVert` of all ordered pairs.

    Shapes: [P, S, D] → [P, S, P, S] (anchor slot, anchor class, slot, class).
    """
    flat = slots.flatten(0, 1)
    # Differences rather than products: a product would lose the small distances.
    distances = torch.cdist(flat + DISTANCE_EPS, flat, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.view(*slots.shape[:2], *slots.shape[:2])


def fold_weights(draws: Tensor) -> Tensor:
    r"""Weights by which the folding mixes the P candidates of one negative class.

    The recursion :math:`m \leftarrow \tilde n_0; \; m \leftarrow \tilde n_n + u_n (m - \tilde n_n)`
    is the weighted sum with :math:`c_n = (1 - u_n) \prod_{k > n} u_k` and :math:`u_0 = 0`.

    Shapes: draws [P, P-1] in (0, 1) → [P, P]; each row sums to 1.
    """
    draws = torch.cat([torch.zeros_like(draws[:, :1]), draws], dim=1)
    later = torch.cat([draws[:, 1:], torch.ones_like(draws[:, :1])], dim=1)
    return (1 - draws) * later.flip(1).cumprod(1).flip(1)


@full_precision
def synthetic_negatives(
    slots: Tensor, coefficients: Tensor, strength: Tensor | float, draws: Tensor
) -> Tensor:
    r"""One synthetic negative per anchor and negative class.

    For anchor (p, a), positive (p+1 mod P, a) and every candidate (n, b):

    .. math:: \tilde n = z_a + (z_n - z_a) \odot \lambda, \quad
        \lambda = r + (1 - r) \, s \, \eta, \quad r = \min(1, d^+ / d^-)

    (a candidate nearer than the positive, :math:`d^- \le d^+`, stays where it is); the P candidates
    of a class are then folded into one. Gradients flow through the embeddings and both distances.

    Args:
        slots: Embeddings [P, S, D] in slot-major order.
        coefficients: η [B, B, D] in (0, 1), nodes in slot-major order.
        strength: s = exp(-α/J̄) in [0, 1]; 0 pulls to the positive's distance.
        draws: [P, P-1] in (0, 1), the scalars of the folding.

    Returns:
        [P, S, S, D]: slot p, anchor class a, negative class b (b = a included).

    Source: GCA-HNG (IJCV 2025), correlation-aware channel-adaptive interpolation.
    """
    samples, classes, channels = slots.shape
    distance = anchor_distances(slots)
    positive = distance.diagonal(dim1=1, dim2=3)  # [P, P, S]: anchor slot, slot, class
    slot = torch.arange(samples, device=slots.device)
    positive = positive[slot, (slot + 1) % samples][..., None, None]  # [P, S, 1, 1]
    ratio = torch.where(distance > positive, positive / distance, torch.ones_like(distance))

    fold = fold_weights(draws).to(distance.dtype)[:, None, :, None]
    straight = fold * ratio  # how much of (z_n - z_a) all channels keep: [P, S, P, S]
    adaptive = fold * (1 - ratio) * strength
    eta = coefficients.view(samples, classes, samples, classes, channels)
    per_channel = adaptive.unsqueeze(-1) * eta
    # Σ_n (straight + per_channel) ⊙ (z_n - z_a), the sums over z_n and over z_a taken apart.
    kept = torch.einsum("panb,nbd->pabd", straight, slots)
    kept = kept + (per_channel * slots).sum(2)
    total = straight.sum(2).unsqueeze(-1) + per_channel.sum(2)
    return kept + (1 - total) * slots.unsqueeze(2)
