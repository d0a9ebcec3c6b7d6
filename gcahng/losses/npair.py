"""N-pair loss on a class-balanced batch, as GCA-HNG uses it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graph import BatchLayout, batch_layout
from graph.precision import full_precision

# 0.25 · 3e-3: the weight of the squared norms, which stand in for normalised embeddings.
NORM_WEIGHT = 0.25 * 3e-3


@full_precision
def npair(slots: Tensor) -> Tensor:
    r"""N-pair loss with the first slot as anchors.

    .. math:: J_m = \frac{1}{P-1} \sum_{p=1}^{P-1} \mathrm{CE}(z_0 z_p^\top, \text{own class})
        + \frac{0.25 \cdot 3 \cdot 10^{-3}}{S} \sum_{p=0}^{P-1} \lVert z_p \rVert_F^2

    Shapes: slots [P, S, D] in slot-major order → scalar; gradients reach every slot.

    Source: Sohn (NeurIPS 2016), with the norm term as in GCA-HNG's published training.
    """
    samples, classes, _ = slots.shape
    logits = slots[0] @ slots[1:].transpose(1, 2)  # [P-1, S, S]
    target = torch.arange(classes, device=slots.device).repeat(samples - 1)
    loss = F.cross_entropy(logits.flatten(0, 1), target)
    return loss + NORM_WEIGHT * slots.square().sum() / classes


class NPairLoss(nn.Module):
    """`npair` with the calling convention `loss(embeddings, labels)`.

    Takes a class-balanced batch in any order, P ≥ 2 samples of each class; the sample of a class
    that comes first is its anchor. Raises ValueError, with the counts, on any other batch.

    Shapes: embeddings [B, D], labels [B] → scalar.
    """

    # A training step that knows the layout passes it: finding it on a GPU waits for the device.
    takes_layout = True

    def forward(
        self, embeddings: Tensor, labels: Tensor, layout: BatchLayout | None = None
    ) -> Tensor:
        """Reorder the batch and compute the loss."""
        layout = layout or batch_layout(labels)
        return npair(layout.to(embeddings.device).slots(embeddings))
