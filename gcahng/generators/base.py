"""What every source of hard negatives has in common: the contract, and what it adds to a loss."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcahng.generators.hardness import LossMeans
from gcahng.graph import BatchLayout, batch_layout
from gcahng.graph.dense.pairs import Pairs
from gcahng.losses.synthetic_npair import synthetic_npair


@dataclass(frozen=True)
class HardNegatives:
    """Negatives of one batch and the losses that go with them.

    Attributes:
        negatives: [P, S, S, D]: anchor slot p, anchor class a, negative class b (b = a included);
            None where a generator makes none.
        layout: Which sample is anchor (p, a) (`layout.order[p * S + a]`), which label class b has
            (`layout.classes[b]`).
        losses: Named scalar terms.
        total: The scalar to be differentiated.
        slots: [P, S, D], the embeddings that negatives were made of, on the unit sphere where
            the generator works there.
        coefficients: η, [B, B, D] or on the dense path [M, D], nodes in slot-major order; None
            where nothing was learned.
        pairs: The pairs of the dense path, else None.
    """

    negatives: Tensor | None
    layout: BatchLayout
    losses: dict[str, Tensor]
    total: Tensor
    slots: Tensor
    coefficients: Tensor | None = None
    pairs: Pairs | None = None

    @property
    def channel_coefficients(self) -> Tensor:
        """η [B, B, D], one per ordered pair and channel; made on demand on the dense path.

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
        positive_share: [P, S, S] in [0, 1], how much of a positive each is; None for not at all.
    """

    negatives: Tensor
    positive_share: Tensor | None = None


class NegativeGenerator(nn.Module, ABC):
    r"""A source of hard negatives for class-balanced batches.

    A subclass makes the negatives in `make_negatives`; this class turns them into a loss:

    .. math:: w \, J_{syn0} + w_{lin} \, \mathrm{CE}(\mathrm{linear}(\mathrm{BatchNorm}(z)), y)

    with the synthetic N-pair term J_syn0 (`synthetic_npair`). One that is trained by losses of its
    own overrides `has_generator_losses`, `classifier_loss` and `generator_losses`.

    Args:
        embedding_dim: D.
        num_classes: Training classes; labels lie in [0, num_classes).
        synthetic_weight: w.
        linear_ce_weight: w_lin, the control for class losses that go through a graph.
        normalize: Work on the unit sphere: embeddings and negatives have length 1, and the term
            has no norm penalty.
        temperature: What the logits of the synthetic term are divided by.
        detach_anchor: Let no gradient through the anchor inside its own negatives, where a
            generator puts it there.
    """

    # Whether negatives are made of what the training classes have left in a memory.
    has_memory_bank = False

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        *,
        synthetic_weight: float = 1.0,
        linear_ce_weight: float = 0.0,
        normalize: bool = False,
        temperature: float = 1.0,
        detach_anchor: bool = False,
    ) -> None:
        super().__init__()
        self.embedding_dim, self.num_classes = embedding_dim, num_classes
        self.synthetic_weight, self.linear_ce_weight = synthetic_weight, linear_ce_weight
        self.normalize, self.temperature = normalize, temperature
        self.detach_anchor = detach_anchor
        self.hardness = LossMeans()
        self.linear_head: nn.Module | None = None
        if linear_ce_weight:
            self.linear_head = nn.Sequential(
                nn.BatchNorm1d(embedding_dim), nn.Linear(embedding_dim, num_classes)
            )

    @property
    def has_generator_losses(self) -> bool:
        """Whether losses of its own train the generator."""
        return False

    @abstractmethod
    def make_negatives(
        self, slots: Tensor, layout: BatchLayout, draws: Tensor | None
    ) -> Synthetic | None:
        """Negatives for embeddings [P, S, D], or None; gradients may flow or not.

        Args:
            slots: In slot-major order.
            layout: `layout.classes` are the labels of the S classes.
            draws: [P, P-1] scalars in (0, 1) of the folding, where a generator folds.
        """

    def classifier_parameters(self) -> Iterator[nn.Parameter]:
        """What the classifier step trains."""
        for name, parameter in self.named_parameters():
            if name.startswith("classifier."):
                yield parameter

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """What the metric step trains beside the embedder: all but the classifier."""
        for name, parameter in self.named_parameters():
            if not name.startswith("classifier."):
                yield parameter

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        layout: BatchLayout | None = None,
        draws: Tensor | None = None,
    ) -> HardNegatives:
        """Negatives and what they add to the metric loss.

        Args:
            embeddings: [B, D], with gradient.
            labels: [B] integers in [0, num_classes), class-balanced.
            layout: `batch_layout(labels)` if already known; saves a synchronisation on a GPU.
            draws: [P, P-1] scalars in (0, 1) for the folding; drawn if None.

        Raises:
            ValueError: If the batch is not class-balanced, with the counts, or a label is out of
                range.
        """
        layout = self._layout(labels, layout).to(embeddings.device)
        slots = self.to_slots(embeddings, layout)
        made = self.make_negatives(slots, layout, draws)
        if made is not None:
            self._check_shape(made.negatives, slots)
        losses = {}
        if made is not None and self.synthetic_weight:
            losses["synthetic"] = self.synthetic_weight * self._synthetic_term(slots, made)
        losses |= self._linear_ce(slots, layout)
        total = sum(losses.values(), slots.new_zeros(()))
        negatives = None if made is None else self.normalize_if_configured(made.negatives)
        return HardNegatives(negatives, layout, losses, total, slots)

    def classifier_loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss of a classifier that judges negatives; where nothing is trained, there is none.

        Raises:
            TypeError: If this generator is not trained.
        """
        raise TypeError(f"{type(self).__name__} has no classifier to train")

    def generator_losses(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        layout: BatchLayout | None = None,
        draws: Tensor | None = None,
    ) -> HardNegatives:
        """The losses that train the generator itself; where nothing is trained, there are none.

        Raises:
            TypeError: If this generator is not trained.
        """
        raise TypeError(f"{type(self).__name__} is not trained")

    def to_slots(self, embeddings: Tensor, layout: BatchLayout) -> Tensor:
        """Embeddings [B, D] as [P, S, D], on the unit sphere where the generator works there.

        Raises:
            ValueError: If their width is not the generator's.
        """
        slots = layout.slots(embeddings)
        if slots.size(-1) != self.embedding_dim:
            raise ValueError(
                f"Expected 'embeddings' of width {self.embedding_dim} (got {slots.size(-1)})"
            )
        return self.normalize_if_configured(slots)

    def normalize_if_configured(self, points: Tensor) -> Tensor:
        """Points [..., D] on the unit sphere, where the generator works there."""
        return F.normalize(points, dim=-1) if self.normalize else points

    def _check_shape(self, negatives: Tensor, slots: Tensor) -> None:
        samples, classes, channels = slots.shape
        expected = (samples, classes, classes, channels)
        if negatives.shape != expected:
            raise ValueError(
                f"Expected {type(self).__name__} to make negatives of shape {list(expected)}: "
                f"anchor's slot, anchor's class, negative's class, channel "
                f"(got {list(negatives.shape)})"
            )

    def _synthetic_term(self, slots: Tensor, made: Synthetic) -> Tensor:
        norms = {"norm_weight": 0.0} if self.normalize else {}
        negatives = self.normalize_if_configured(made.negatives)
        return synthetic_npair(slots, negatives, made.positive_share, self.temperature, **norms)

    def _linear_ce(self, slots: Tensor, layout: BatchLayout) -> dict[str, Tensor]:
        if self.linear_head is None:
            return {}
        logits = self.linear_head(slots.flatten(0, 1))
        return {"linear_ce": self.linear_ce_weight * F.cross_entropy(logits, layout.labels)}

    def _layout(self, labels: Tensor, layout: BatchLayout | None) -> BatchLayout:
        if layout is not None:
            return layout
        layout, known = batch_layout(labels), self.num_classes
        if int(layout.classes.min()) < 0 or int(layout.classes.max()) >= known:
            raise ValueError(
                f"Expected 'labels' in [0, {known}), the generator's num_classes (got labels from "
                f"{int(layout.classes.min())} to {int(layout.classes.max())})"
            )
        return layout


def draw_fold_scalars(slots: Tensor, draws: Tensor | None) -> Tensor:
    """The folding scalars [P, P-1], drawn where they are not given.

    Raises:
        ValueError: If those given have another shape.
    """
    shape = (slots.size(0), slots.size(0) - 1)
    if draws is None:
        return torch.rand(shape, device=slots.device, dtype=slots.dtype)
    if draws.shape != shape:
        raise ValueError(f"Expected 'draws' of shape {shape} (got {tuple(draws.shape)})")
    return draws
