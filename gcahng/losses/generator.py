"""The generator's three loss terms: classification, anchor similarity, diversity."""

import torch
from torch import Tensor

from gcahng.graph.dense.own_anchors import OwnAnchors
from gcahng.graph.dense.pair_functions import pair_spread
from gcahng.graph.dense.pairs import Pairs
from gcahng.graph.precision import full_precision
from gcahng.losses.linear_cross_entropy import linear_cross_entropy

COSINE_EPS = 1e-8  # minimum length, as in torch's cosine_similarity


def misplaced_own_class(samples: int, classes: int, device: torch.device | None = None) -> Tensor:
    """Mask of the published code in place of b = a: flat entries i·B + i + k·S, i < S, k < P.

    Args:
        samples: P, samples per class.
        classes: S, classes in the batch; B = P·S.
        device: Where to create the mask; None: PyTorch's default.

    Returns:
        Bool [P, S, S] (anchor slot, anchor class, negative class) with P·S true entries.

    Example:
        >>> misplaced_own_class(samples=2, classes=2).int()
        tensor([[[1, 0],
                 [1, 0]],
        <BLANKLINE>
                [[0, 1],
                 [0, 1]]], dtype=torch.int32)
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

    Args:
        negatives: [P, S, S, D], or [n, S, D] of the anchors `own`.
        weight: W [C, D] of the classifier.
        bias: w [C].
        classes: [S] labels of the sampled classes.
        keep_own_class: Include the entries b = a in the mean, as published.
        own: As in `synthetic_npair`; the result is then the part of these anchors.
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

    Args:
        slots: [P, S, D].
        negatives: [P, S, S, D], or [n, S, D] of the anchors `own`.
        misplaced_mask: As published: zero the entries of `misplaced_own_class` instead of b = a
            and divide by P·S·S.
        own: As in `synthetic_npair`; the result is then the part of these anchors.
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
    first = 0 if own is None else own.rows.start
    anchors = torch.arange(first, first + len(values), device=values.device)
    is_own = (anchors % classes).unsqueeze(1) == torch.arange(classes, device=values.device)
    return values.masked_fill(is_own, 0).sum() / (_total(values, own) * (classes - 1))


def _total(values: Tensor, own: OwnAnchors | None) -> int:
    """B, the number of all anchors, for values [n, S] of some of them."""
    return len(values) if own is None else own.total
