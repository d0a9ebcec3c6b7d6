"""What a generator returns for a batch."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from gcahng.graph import BatchLayout
from gcahng.graph.dense.own_anchors import OwnAnchors
from gcahng.graph.dense.pairs import Pairs
from gcahng.processes import gather_rows


@dataclass(frozen=True)
class HardNegatives:
    """Negatives of one batch and the corresponding losses.

    Attributes:
        negatives: [P, S, S, D]: anchor slot p, anchor class a, negative class b (b = a included);
            None if the generator makes no negatives.
        layout: Maps back to the batch: anchor (p, a) is sample `layout.order[p * S + a]`, class b
            has label `layout.classes[b]`.
        losses: Named scalar terms.
        total: The scalar to backpropagate.
        slots: [P, S, D], the embeddings in slot-major order, normalized if the generator is.
        coefficients: η, [B, B, D] or on the dense path [M, D], nodes in slot-major order; None
            for generators without learned coefficients.
        pairs: The pairs of the dense path, or None.
        own: If several processes split the batch, the n anchors of this one: `negatives` are
            [n, S, D], `losses` and `total` are its part of the sums, and `coefficients` are those
            of its pairs. None if everything is of the whole batch.

    Example:
        >>> import torch
        >>> from gcahng.generators import GENERATORS
        >>> generator = GENERATORS.build("scalar", 8, 3, value=0.5)
        >>> result = generator(torch.randn(6, 8), torch.tensor([0, 0, 1, 1, 2, 2]))
        >>> result.negatives.shape, list(result.losses), result.layout.classes
        (torch.Size([2, 3, 3, 8]), ['synthetic'], tensor([0, 1, 2]))
    """

    negatives: Tensor | None
    layout: BatchLayout
    losses: dict[str, Tensor]
    total: Tensor
    slots: Tensor
    coefficients: Tensor | None = None
    pairs: Pairs | None = None
    own: OwnAnchors | None = None

    def all_negatives(self) -> Tensor | None:
        """The negatives [P, S, S, D] of the whole batch; every process has to call this."""
        if self.own is None or self.negatives is None:
            return self.negatives
        whole = gather_rows(self.negatives, self.own.total, self.own.group)
        return whole.view(*self.slots.shape[:2], *whole.shape[1:])

    @property
    def channel_coefficients(self) -> Tensor:
        """η [B, B, D], one per ordered pair and channel; expanded on demand on the dense path.

        Raises:
            ValueError: If the generator has no coefficients.
        """
        if self.coefficients is None:
            raise ValueError("This generator has no channel coefficients")
        return self.coefficients if self.pairs is None else self.pairs.to_dense(self.coefficients)


class Synthetic(NamedTuple):
    """Synthetic negatives of one batch.

    Attributes:
        negatives: [P, S, S, D].
        positive_share: [P, S, S] in [0, 1], the target weight of each as a positive; None: 0.
    """

    negatives: Tensor
    positive_share: Tensor | None = None
