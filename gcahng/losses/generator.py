"""The generator's three loss terms: classification, anchor similarity, diversity."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gcahng.graph.dense.pair_functions import pair_spread
from gcahng.graph.dense.pairs import Pairs
from gcahng.graph.precision import full_precision

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


@full_precision
def negative_classification(
    logits: Tensor, classes: Tensor, keep_own_class: bool = False
) -> Tensor:
    r"""Cross entropy of a linear classifier on the negatives, with target class b.

    .. math:: \mathrm{mean}_{p,a,b \ne a} \, \mathrm{CE}(\mathrm{classifier}(\tilde n_{p,a,b}), b)

    Args:
        logits: [P, S, S, num_classes].
        classes: [S] labels of the sampled classes.
        keep_own_class: Include the entries b = a in the mean, as published.
    """
    samples, sampled = logits.shape[:2]
    target = classes.expand(samples, sampled, sampled)
    losses = F.cross_entropy(logits.flatten(0, 2), target.flatten(), reduction="none")
    if keep_own_class:
        return losses.mean()
    return _mean_of_others(losses.view(samples, sampled, sampled))


@full_precision
def anchor_similarity(slots: Tensor, negatives: Tensor, misplaced_mask: bool = False) -> Tensor:
    r"""Mean cosine distance of the negatives to their anchors.

    .. math:: \mathrm{mean}_{p,a,b \ne a} \, (1 - \cos(z_{p,a}, \tilde n_{p,a,b}))

    Args:
        slots: [P, S, D].
        negatives: [P, S, S, D].
        misplaced_mask: As published: zero the entries of `misplaced_own_class` instead of b = a
            and divide by P·S·S.
    """
    # Equals torch's cosine_similarity, which would save several tensors of the negatives' size.
    lengths = torch.linalg.vector_norm(slots, dim=-1).clamp(min=COSINE_EPS).unsqueeze(-1)
    lengths = lengths * torch.linalg.vector_norm(negatives, dim=-1).clamp(min=COSINE_EPS)
    distance = 1 - torch.einsum("pad,pabd->pab", slots, negatives) / lengths
    if not misplaced_mask:
        return _mean_of_others(distance)
    mask = misplaced_own_class(distance.size(0), distance.size(1), distance.device)
    return distance.masked_fill(mask, 0).mean()


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


def _mean_of_others(values: Tensor) -> Tensor:
    """Mean of [P, S, S] over b ≠ a."""
    samples, classes, _ = values.shape
    own = values.diagonal(dim1=1, dim2=2).sum()
    return (values.sum() - own) / (samples * classes * (classes - 1))
