"""N-pair loss against synthetic negatives."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gcahng.graph.dense.own_anchors import OwnAnchors
from gcahng.graph.precision import full_precision
from gcahng.losses.npair import NORM_WEIGHT


@full_precision
def synthetic_npair(
    slots: Tensor,
    negatives: Tensor,
    positive_share: Tensor | None = None,
    temperature: float = 1.0,
    norm_weight: float = NORM_WEIGHT,
    own: OwnAnchors | None = None,
) -> Tensor:
    r"""N-pair loss with one synthetic negative per anchor and class.

    With :math:`t_{p,a,b}` the synthetic negative, replaced at :math:`b = a` by the positive
    :math:`z_{p',a}`, :math:`p' = (p+1) \bmod P`:

    .. math:: J_{syn0} = \frac1P \sum_p \Big[ \frac1S \sum_a
        \mathrm{CE}(z_{p,a} \cdot t_{p,a,\cdot}, a) + 0.25 \cdot 3 \cdot 10^{-3}
        \big( \lVert z_p \rVert_F^2 / S + \lVert t_p \rVert_F^2 / S^2 \big) \Big]

    Args:
        slots: [P, S, D]; gradients reach them.
        negatives: [P, S, S, D]; gradients reach them.
        positive_share: [P, S, S] in [0, 1], target weight of each negative relative to 1 for the
            positive; None (as published): 0.
        temperature: Divisor of the logits; published: 1.
        norm_weight: Weight of the squared norms; published: 0.25 · 3e-3.
        own: The n anchors of this process, if anchors are split: `negatives` [n, S, D] has only
            these, and the result is their part of the sum.

    Returns:
        A scalar.

    Source: GCA-HNG (IJCV 2025), the synthetic term of the metric loss.

    Example:
        >>> slots = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
        >>> synthetic_npair(slots, slots.unsqueeze(1).expand(2, 2, 2, 2), norm_weight=0.0)
        tensor(0.3133)
    """
    samples, classes, _ = slots.shape
    rows = slice(0, samples * classes) if own is None else own.rows
    anchors, positives = slots.flatten(0, 1)[rows], slots.roll(-1, dims=0).flatten(0, 1)[rows]
    negatives = negatives.reshape(len(anchors), classes, -1)
    target = torch.arange(classes, device=slots.device).repeat(samples)[rows]
    is_own = target.unsqueeze(1) == torch.arange(classes, device=slots.device)
    logits = torch.einsum("ad,abd->ab", anchors, negatives)
    logits = torch.where(is_own, (anchors * positives).sum(-1, keepdim=True), logits) / temperature
    if positive_share is not None:
        parts = positive_share.flatten(0, -2).masked_fill(is_own, 1)
        target = parts / parts.sum(dim=1, keepdim=True)
    loss = F.cross_entropy(logits, target, reduction="sum") / (samples * classes)
    if not norm_weight:
        return loss
    positive, negative = positives.square().sum(-1, keepdim=True), negatives.square().sum(-1)
    squares = torch.where(is_own, positive, negative)
    norms = anchors.square().sum() / classes + squares.sum() / classes**2
    return loss + norm_weight * norms / samples
