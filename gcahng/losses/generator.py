"""Losses on synthetic negatives: for the embedder, and for the generator itself."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gcahng.graph.batch import OwnAnchors
from gcahng.graph.dense.pairs import Pairs, compute_once, pair_spread
from gcahng.graph.precision import full_precision
from gcahng.losses.linear_cross_entropy import linear_cross_entropy
from gcahng.losses.npair import NORM_WEIGHT

COSINE_EPS = 1e-8  # minimum length, as in torch's cosine_similarity


def misplaced_own_class(samples: int, classes: int, device: torch.device | None = None) -> Tensor:
    """Mask of the published code in place of b = a: flat entries i·B + i + k·S, i < S, k < P.

    Shapes: → bool [P, S, S] (anchor slot, anchor class, negative class) with P·S true entries.
    """
    mask = torch.zeros(samples * classes * classes, dtype=torch.bool, device=device)
    i = torch.arange(classes, device=device).view(-1, 1)
    k = torch.arange(samples, device=device)
    mask[(i * samples * classes + i + k * classes).flatten()] = True
    return mask.view(samples, classes, classes)


def negative_classification(
    negatives: Tensor,
    weight: Tensor,
    bias: Tensor,
    classes: Tensor,
    keep_own_class: bool = False,
    own: OwnAnchors | None = None,
) -> Tensor:
    r"""Cross entropy of a linear classifier on the negatives, with target class b.

    .. math:: \mathrm{mean}_{p,a,b \ne a} \, \mathrm{CE}(W \tilde n_{p,a,b} + w, b)

    `keep_own_class` includes the entries b = a in the mean, as published. With `own`, as in
    `synthetic_npair`, the result is the part of these anchors.

    Shapes: negatives [P, S, S, D] or [n, S, D] of the anchors `own`, W [C, D], w [C], classes [S],
    the labels of the sampled classes → scalar.
    """
    anchors = negatives.shape[:-2].numel()
    losses = linear_cross_entropy(negatives, weight, bias, classes.repeat(anchors))
    losses = losses.view(anchors, len(classes))
    if keep_own_class:
        return losses.sum() / (_total(losses, own) * len(classes))
    return _mean_of_others(losses, own)


@full_precision
def anchor_similarity(
    slots: Tensor, negatives: Tensor, misplaced_mask: bool = False, own: OwnAnchors | None = None
) -> Tensor:
    r"""Mean cosine distance of the negatives to their anchors.

    .. math:: \mathrm{mean}_{p,a,b \ne a} \, (1 - \cos(z_{p,a}, \tilde n_{p,a,b}))

    `misplaced_mask`, as published, zeroes the entries of `misplaced_own_class` instead of b = a and
    divides by P·S·S. With `own`, as in `synthetic_npair`, the result is the part of these anchors.

    Shapes: slots [P, S, D], negatives [P, S, S, D] or [n, S, D] of the anchors `own` → scalar.
    """
    samples, classes, _ = slots.shape
    rows = slice(0, samples * classes) if own is None else own.rows
    anchors = slots.flatten(0, 1)[rows]
    negatives = negatives.reshape(len(anchors), classes, -1)
    # Equals torch's cosine_similarity, which would save several tensors of the negatives' size.
    lengths = torch.linalg.vector_norm(anchors, dim=-1).clamp(min=COSINE_EPS).unsqueeze(-1)
    lengths = lengths * torch.linalg.vector_norm(negatives, dim=-1).clamp(min=COSINE_EPS)
    distance = 1 - torch.einsum("ad,abd->ab", anchors, negatives) / lengths
    if not misplaced_mask:
        return _mean_of_others(distance, own)
    mask = misplaced_own_class(samples, classes, distance.device).flatten(0, 1)[rows]
    return distance.masked_fill(mask, 0).sum() / (samples * classes**2)


@full_precision
def diversity(coefficients: Tensor, pairs: Pairs | None = None) -> Tensor:
    r"""Diversity loss: lower if the coefficients of a node vary more between its partners.

    .. math:: J_{div} = 1 - \sqrt{\tfrac{1}{B^2} \textstyle\sum_{ij}
        \lVert \eta_{ij} - \mathrm{mean}_j \, \eta_{ij} \rVert^2}

    Shapes: coefficients [B, B, D], or [M, D] of the given pairs → scalar.
    """
    if pairs is not None:
        return 1 - pair_spread(coefficients, pairs) / pairs.num_nodes
    spread = coefficients - coefficients.mean(dim=1, keepdim=True)
    # The gradient of vector_norm at 0 (equal coefficients) is 0; that of sqrt would be NaN.
    return 1 - torch.linalg.vector_norm(spread) / coefficients.size(0)


def _mean_of_others(values: Tensor, own: OwnAnchors | None) -> Tensor:
    """Sum of [n, S] over b ≠ a, divided by the number of such entries of all anchors."""
    classes = values.size(1)
    start = 0 if own is None else own.rows.start
    _, is_own = _own_classes(start, start + len(values), classes, values.device)
    return values.masked_fill(is_own, 0).sum() / (_total(values, own) * (classes - 1))


@compute_once
def _own_classes(
    start: int, stop: int, classes: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The class a of the anchors start to stop - 1, [n], and where b is a, bool [n, S]."""
    own = torch.arange(start, stop, device=device) % classes
    return own, own.unsqueeze(1) == torch.arange(classes, device=device)


def _total(values: Tensor, own: OwnAnchors | None) -> int:
    """B, the number of all anchors, for values [n, S] of some of them."""
    return len(values) if own is None else own.total


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

    .. math:: J_{syn} = \frac1P \sum_p \Big[ \frac1S \sum_a
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
    target, is_own = _own_classes(rows.start, rows.stop, classes, slots.device)
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
