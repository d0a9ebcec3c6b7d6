"""The base class of negative generators: their interface and the loss terms they add."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import TypedDict

from gcahng.arguments import Positive, Weight, check_positive, check_weights, is_integer
from gcahng.generators.hardness import LossMeans
from gcahng.graph import BatchLayout, batch_layout
from gcahng.graph.batch import OwnAnchors
from gcahng.graph.dense.pairs import Pairs
from gcahng.losses.generator import synthetic_npair
from gcahng.losses.linear_cross_entropy import linear_cross_entropy


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
        coefficients: η, [B, B, D] or on the dense path [M, D]; None if none are learned.
        pairs: The pairs of the dense path, or None.
        own: If processes split the batch, the n anchors of this one: `negatives` are [n, S, D],
            `losses` and `total` its part of the sums, `coefficients` those of its pairs.
    """

    negatives: Tensor | None
    layout: BatchLayout
    losses: dict[str, Tensor]
    total: Tensor
    slots: Tensor
    coefficients: Tensor | None = None
    pairs: Pairs | None = None
    own: OwnAnchors | None = None

    @property
    def channel_coefficients(self) -> Tensor:
        """η [B, B, D], one per ordered pair and channel; expanded on demand on the dense path."""
        if self.coefficients is None:
            raise ValueError("This generator has no channel coefficients")
        return self.coefficients if self.pairs is None else self.pairs.to_dense(self.coefficients)


class Synthetic(NamedTuple):
    """Synthetic negatives [P, S, S, D]; their target weights as positives [P, S, S], None: 0."""

    negatives: Tensor
    positive_share: Tensor | None = None


class GeneratorArguments(TypedDict, total=False):
    """Keyword arguments that every generator accepts; explained in `NegativeGenerator`."""

    synthetic_weight: Weight
    linear_ce_weight: Weight
    normalize: bool
    temperature: Positive
    detach_anchor: bool


class NegativeGenerator(nn.Module, ABC):
    r"""Base class of hard-negative generators for class-balanced batches.

    A subclass implements `make_negatives`; this class turns the negatives into a loss:

    .. math:: w \, J_{syn} + w_{lin} \, \mathrm{CE}(\mathrm{linear}(\mathrm{BatchNorm}(z)), y)

    with the synthetic N-pair term J_syn (`synthetic_npair`). One that is trained overrides
    `has_generator_losses`, `classifier_loss` and `generator_losses`. One with further arguments
    passes `**settings` on, annotated as `Unpack[GeneratorArguments]`.

    Args:
        embedding_dim: D.
        num_classes: Number of training classes; labels lie in [0, num_classes).
        synthetic_weight: w.
        linear_ce_weight: w_lin; a control for class losses computed through a graph.
        normalize: L2-normalize embeddings and negatives, and omit the norm penalty.
        temperature: Divisor of the logits of the synthetic term.
        detach_anchor: Stop gradients through the anchor of each synthetic negative, for generators
            that interpolate between anchor and negative.

    Example:
        >>> class Midpoint(NegativeGenerator):
        ...     def make_negatives(self, slots, layout, draws):
        ...         return Synthetic((slots.unsqueeze(2) + slots.unsqueeze(1)) / 2)
        >>> generator = Midpoint(8, num_classes=3, normalize=True)
        >>> embeddings, labels = torch.randn(6, 8), torch.tensor([0, 1, 2, 0, 1, 2])
        >>> result = generator(embeddings, labels)
        >>> result.negatives.shape, list(result.losses)
        (torch.Size([2, 3, 3, 8]), ['synthetic'])
    """

    # True if negatives depend on statistics stored per training class.
    has_memory_bank = False

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        *,
        synthetic_weight: Weight = 1.0,
        linear_ce_weight: Weight = 0.0,
        normalize: bool = False,
        temperature: Positive = 1.0,
        detach_anchor: bool = False,
    ) -> None:
        super().__init__()
        for name, size in (("embedding_dim", embedding_dim), ("num_classes", num_classes)):
            if not is_integer(size, 1):
                raise ValueError(f"Expected {name!r} as an integer of at least 1 (got {size!r})")
        check_positive(temperature=temperature)
        check_weights(synthetic_weight=synthetic_weight, linear_ce_weight=linear_ce_weight)
        self.embedding_dim, self.num_classes = embedding_dim, num_classes
        self.synthetic_weight, self.linear_ce_weight = synthetic_weight, linear_ce_weight
        self.normalize, self.temperature = normalize, temperature
        self.detach_anchor = detach_anchor
        self.hardness = LossMeans()
        self.linear_head: nn.Sequential | None = None
        if linear_ce_weight:
            self.linear_head = nn.Sequential(
                nn.BatchNorm1d(embedding_dim), nn.Linear(embedding_dim, num_classes)
            )

    @property
    def has_generator_losses(self) -> bool:
        """True if the generator has its own training losses (`generator_losses`)."""
        return False

    @abstractmethod
    def make_negatives(
        self, slots: Tensor, layout: BatchLayout, draws: Tensor | None
    ) -> Synthetic | None:
        """Create the negatives of slots [P, S, D], differentiable or not; None for no negatives.

        `layout.classes` are the labels of the S classes; `draws` [P, P-1] in (0, 1), or None, are
        the scalars for folding candidates.
        """

    def classifier_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters trained by the classifier step."""
        return (p for name, p in self.named_parameters() if name.startswith("classifier."))

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters trained by the metric step with the embedder: all but the classifier."""
        return (p for name, p in self.named_parameters() if not name.startswith("classifier."))

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        layout: BatchLayout | None = None,
        draws: Tensor | None = None,
    ) -> HardNegatives:
        """Create the negatives and the terms to add to the metric loss.

        Args:
            embeddings: [B, D], with gradient.
            labels: [B] integers in [0, num_classes), class-balanced; a ValueError otherwise.
            layout: `batch_layout(labels)` if already computed, which saves a GPU synchronisation;
                `batch_layout(labels, group)` for processes that share one graph.
            draws: [P, P-1] scalars in (0, 1) for folding candidates; random if None.
        """
        layout = self._layout(labels, layout).to(embeddings.device)
        slots = self.to_slots(embeddings, layout)
        made = self.make_negatives(slots, layout, draws)
        expected = [*slots.shape[:2], *slots.shape[1:]]
        if made is not None and list(made.negatives.shape) != expected:
            raise ValueError(
                f"Expected {type(self).__name__} to make negatives of shape {expected} (anchor "
                "slot, anchor class, negative class, channel; "
                f"got {list(made.negatives.shape)})"
            )
        losses = {}
        if made is not None and self.synthetic_weight:
            losses["synthetic"] = self.synthetic_weight * self._synthetic_term(slots, made)
        losses |= self._linear_ce(slots, layout)
        total = sum(losses.values(), slots.new_zeros(()))
        negatives = None if made is None else self.normalize_if_configured(made.negatives)
        return HardNegatives(negatives, layout, losses, total, slots)

    def classifier_loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Loss of the auxiliary classifier; a TypeError for a generator that is not trained."""
        raise TypeError(f"{type(self).__name__} has no classifier to train")

    def generator_losses(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        layout: BatchLayout | None = None,
        draws: Tensor | None = None,
    ) -> HardNegatives:
        """Losses that train the generator itself, with the arguments of `forward`."""
        raise TypeError(f"{type(self).__name__} is not trained")

    def to_slots(self, embeddings: Tensor, layout: BatchLayout) -> Tensor:
        """Reorder embeddings [B, D] into slots [P, S, D], normalized if configured."""
        slots = layout.slots(embeddings)
        if slots.size(-1) != self.embedding_dim:
            raise ValueError(
                f"Expected 'embeddings' of width {self.embedding_dim} (got {slots.size(-1)})"
            )
        return self.normalize_if_configured(slots)

    def normalize_if_configured(self, points: Tensor) -> Tensor:
        """L2-normalize points [..., D] if `normalize` is set."""
        return F.normalize(points, dim=-1) if self.normalize else points

    def _synthetic_term(
        self, slots: Tensor, made: Synthetic, own: OwnAnchors | None = None
    ) -> Tensor:
        norms = {"norm_weight": 0.0} if self.normalize else {}
        negatives = self.normalize_if_configured(made.negatives)
        return synthetic_npair(
            slots, negatives, made.positive_share, self.temperature, own=own, **norms
        )

    def _linear_ce(self, slots: Tensor, layout: BatchLayout) -> dict[str, Tensor]:
        if self.linear_head is None:
            return {}
        norm, linear = self.linear_head
        assert isinstance(linear, nn.Linear)
        inputs, targets = norm(slots.flatten(0, 1)), layout.labels
        loss = linear_cross_entropy(inputs, linear.weight, linear.bias, targets, reduction="mean")
        return {"linear_ce": self.linear_ce_weight * loss}

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
    """Return the folding scalars [P, P-1]: `draws`, or uniform random numbers if None."""
    shape = (slots.size(0), slots.size(0) - 1)
    if draws is None:
        return torch.rand(shape, device=slots.device, dtype=slots.dtype)
    if draws.shape != shape:
        raise ValueError(f"Expected 'draws' of shape {shape} (got {tuple(draws.shape)})")
    return draws
