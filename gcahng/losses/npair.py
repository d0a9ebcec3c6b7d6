"""N-pair loss on a class-balanced batch, as in GCA-HNG."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcahng.arguments import Positive, check_positive
from gcahng.graph import BatchLayout, batch_layout
from gcahng.graph.precision import full_precision

# Weight of the squared norms, which replace normalisation of the embeddings.
NORM_WEIGHT = 0.25 * 3e-3


@full_precision
def norm_penalty(slots: Tensor) -> Tensor:
    """The second term of `NPairLoss`: slots [P, S, D] → scalar."""
    return NORM_WEIGHT * slots.square().sum() / slots.size(1)


@full_precision
def slot_by_slot(slots: Tensor) -> Tensor:
    """The first term of `NPairLoss`: slots [P, S, D] → scalar."""
    samples, classes, _ = slots.shape
    logits = slots[0] @ slots[1:].transpose(1, 2)  # [P-1, S, S]
    target = torch.arange(classes, device=slots.device).repeat(samples - 1)
    return F.cross_entropy(logits.flatten(0, 1), target)


@full_precision
def all_at_once(slots: Tensor) -> Tensor:
    r"""Variant of the first term of `NPairLoss`: all samples of other classes in one softmax.

    .. math:: \frac{1}{(P-1) S} \sum_{p \ge 1, a} -\log \frac{e^{z_{0,a} \cdot z_{p,a}}}
        {e^{z_{0,a} \cdot z_{p,a}} + \sum_{n, b \ne a} e^{z_{0,a} \cdot z_{n,b}}}

    Shapes: slots [P, S, D] in slot-major order → scalar; gradients reach every slot.
    """
    classes = slots.size(1)
    logits = torch.einsum("ad,nbd->nab", slots[0], slots)
    positive = logits[1:].diagonal(dim1=1, dim2=2)  # [P-1, S]
    own = torch.eye(classes, dtype=torch.bool, device=slots.device)
    negative = logits.masked_fill(own, -torch.inf).logsumexp(dim=(0, 2))
    return (torch.logaddexp(positive, negative) - positive).mean()


class NPairLoss(nn.Module):
    r"""N-pair loss, called as `loss(embeddings, labels)`.

    .. math:: J_m = \frac{1}{P-1} \sum_{p=1}^{P-1} \mathrm{CE}(z_0 z_p^\top, \text{own class})
        + \frac{0.25 \cdot 3 \cdot 10^{-3}}{S} \sum_{p=0}^{P-1} \lVert z_p \rVert_F^2

    Takes a class-balanced batch in any order with P ≥ 2 samples per class, else a ValueError; the
    first sample of each class is its anchor.

    Args:
        normalize: L2-normalize the embeddings and omit the norm penalty.
        temperature: Divisor of the logits; published: 1.
        all_negatives: Use all samples of other classes in one softmax (`all_at_once`) instead of
            one slot at a time.

    Shapes: embeddings [B, D], labels [B] → scalar.

    Source: Sohn (NeurIPS 2016), with the norm term as in GCA-HNG's published training.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
        >>> loss = NPairLoss(normalize=True)
        >>> loss(embeddings, labels=torch.tensor([0, 1, 0, 1]))
        tensor(0.3133)
    """

    # A training step passes a known layout, since computing it on a GPU synchronises.
    takes_layout = True

    def __init__(
        self, normalize: bool = False, temperature: Positive = 1.0, all_negatives: bool = False
    ) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.normalize, self.temperature = normalize, temperature
        self.all_negatives = all_negatives

    def forward(
        self, embeddings: Tensor, labels: Tensor, layout: BatchLayout | None = None
    ) -> Tensor:
        """Reorder the batch and compute the loss."""
        layout = layout or batch_layout(labels)
        slots = layout.to(embeddings.device).slots(embeddings)
        term = all_at_once if self.all_negatives else slot_by_slot
        # Dividing both factors by √temperature divides the logits by the temperature.
        root = self.temperature**0.5
        if self.normalize:
            return term(F.normalize(slots, dim=-1) / root)
        return term(slots / root) + norm_penalty(slots)

    def extra_repr(self) -> str:
        """Show the settings."""
        return (
            f"normalize={self.normalize}, temperature={self.temperature}, "
            f"all_negatives={self.all_negatives}"
        )
