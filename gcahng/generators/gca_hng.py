"""GCA-HNG: hard negatives from learned global correlations within a batch."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Unpack

from gcahng.arguments import check_weights
from gcahng.generators.base import (
    GeneratorArguments,
    HardNegatives,
    NegativeGenerator,
    Synthetic,
    draw_fold_scalars,
)
from gcahng.generators.graph_pass import GraphPass, pass_gradient_on
from gcahng.graph import (
    BatchLayout,
    Correlation,
    CorrelationNetwork,
    Layer,
    batch_graph,
    synthetic_negatives,
)
from gcahng.graph.convs.parts import check_choice
from gcahng.graph.dense.own_anchors import own_anchors, share_of
from gcahng.graph.dense.pairs import Pairs
from gcahng.losses.generator import anchor_similarity, diversity, negative_classification
from gcahng.losses.linear_cross_entropy import linear_cross_entropy

# Published weights of the classifier's cross entropy and of the diversity term.
CLASSIFIER_WEIGHT = 10.0
DIVERSITY_SCALE = 0.01


class HardNegativeGenerator(NegativeGenerator):
    r"""Generate hard negatives and the losses that train embedder and generator.

    One training iteration, with separate optimizers for embedder and generator::

        negatives = generator(embeddings, labels)
        (metric_loss + negatives.total).backward()        # then step embedder and graph
        generator.classifier_loss(embeddings, labels).backward()   # then step the classifier
        generated = generator.generator_losses(embeddings, labels)
        generated.total.backward()                        # then step the graph again
        generator.hardness.record(metric_loss, generated.total)

    and `generator.hardness.end_epoch()` after each epoch. `gcahng.training.step.TrainingStep`
    implements this in the published order. The batch must be class-balanced (S ≥ 2 classes with
    P ≥ 2 samples each), in any order. Processes share one graph, and each computes its part of the
    losses, only if all have the whole batch and pass `layout=batch_layout(labels, group)`.

    With `passes="one"` the graph runs once. The first backward pass then trains the embedder alone.
    `generator_losses(embeddings, labels, graph_pass=negatives.graph_pass)` rates the same negatives
    again, and its backward pass gives the graph the gradients of both steps: step it only there.

    Args:
        embedding_dim: D; divisible by `heads`.
        num_classes: Number of training classes; labels lie in [0, num_classes).
        conv: The graph layer: a key of `gcahng.graph.CONVS`, `module.path:ClassName` for a
            user-defined layer, or a pair of name and arguments.
        layers: Number of layers, or a sequence of layers given as for `conv`.
        heads: Attention heads of the layers.
        edge_heads: Heads of the edge attention; None: as `heads`. Published: 1.
        edge_dropout: "tied", "independent" (published) or "off".
        dropout: Dropout rate of the edge attention.
        path: "dense" (fast) or "sparse" (message-passing reference).
        memory: What the dense path saves for backward: "auto", "balanced" or "low".
        passes: Graph passes in an iteration: "two" (published) or "one", which is faster.
        alpha: α in the strength exp(-α/J̄) of the coefficients, J̄ the mean metric loss.
        beta: β in the weight 1 - exp(-β/J_gen) of the synthetic term; None: weight 1.
        gamma: Weight of the classifier's cross entropy on the negatives.
        similarity_weight: w_sim.
        diversity_weight: w_div.
        node_ce_weight: Weight of the node cross entropy in the metric step (published: 1).
        node_ce_reaches_embedder: Whether J_gce trains the embedder beside the graph, as published.
        shared_channels: Replace the coefficients of a pair by their mean over channels.
        misplaced_similarity_mask: As published, see `anchor_similarity`.
        keep_own_class: As published, see `negative_classification`.
        **settings: As `NegativeGenerator`.

    Raises:
        ValueError: If the layer or a choice is unknown, `heads` does not divide `embedding_dim`, or
            a weight is negative.

    Source: Peng et al., GCA-HNG (IJCV 2025).

    Example:
        >>> generator = HardNegativeGenerator(8, num_classes=3, layers=1, heads=2)
        >>> embeddings = torch.randn(6, 8, requires_grad=True)
        >>> labels = torch.tensor([0, 1, 2, 0, 1, 2])
        >>> result = generator(embeddings, labels)
        >>> result.negatives.shape, list(result.losses)
        (torch.Size([2, 3, 3, 8]), ['synthetic', 'node_ce'])
        >>> result.total.backward()
        >>> list(generator.generator_losses(embeddings, labels).losses)
        ['generator_ce', 'similarity', 'diversity']
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        *,
        conv: Layer = "gca",
        layers: int | Sequence[Layer] = 2,
        heads: int = 4,
        edge_heads: int | None = None,
        edge_dropout: str = "tied",
        dropout: float = 0.1,
        path: Literal["dense", "sparse"] = "dense",
        memory: str = "auto",
        passes: Literal["two", "one"] = "two",
        alpha: float = 5.0,
        beta: float | None = 20.0,
        gamma: float = 20.0,
        similarity_weight: float = 20.0,
        diversity_weight: float = 60.0,
        node_ce_weight: float = 1.0,
        node_ce_reaches_embedder: bool = True,
        shared_channels: bool = False,
        misplaced_similarity_mask: bool = False,
        keep_own_class: bool = False,
        **settings: Unpack[GeneratorArguments],
    ) -> None:
        super().__init__(embedding_dim, num_classes, **settings)
        check_choice("path", path, ("dense", "sparse"))
        check_choice("passes", passes, ("two", "one"))
        check_weights(alpha=alpha, beta=beta or 0.0, gamma=gamma, node_ce_weight=node_ce_weight)
        check_weights(similarity_weight=similarity_weight, diversity_weight=diversity_weight)
        conv_args: dict[str, Any] = {
            "heads": heads,
            "edge_heads": heads if edge_heads is None else edge_heads,
            "edge_dropout": edge_dropout,
            "dropout": dropout,
            "memory": memory,
        }
        self.graph = CorrelationNetwork(embedding_dim, num_classes, layers, conv, **conv_args)
        self.classifier = nn.Linear(embedding_dim, num_classes)
        self.path, self.passes = path, passes
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.similarity_weight, self.diversity_weight = similarity_weight, diversity_weight
        self.node_ce_weight = node_ce_weight
        self.node_ce_reaches_embedder = node_ce_reaches_embedder
        self.shared_channels = shared_channels
        self.misplaced_similarity_mask = misplaced_similarity_mask
        self.keep_own_class = keep_own_class

    @property
    def has_generator_losses(self) -> bool:
        """True if any generator term has a nonzero weight."""
        return any((self.gamma, self.similarity_weight, self.diversity_weight))

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        layout: BatchLayout | None = None,
        draws: Tensor | None = None,
    ) -> HardNegatives:
        r"""Create the negatives and the terms to add to the metric loss.

        .. math:: (1 - e^{-\beta / J_{gen}}) \, J_{syn0} + J_{gce}

        The coefficients are detached: the synthetic term trains the embedder only, the node cross
        entropy J_gce trains embedder and graph.

        With `passes="one"` all of this trains the embedder only. `graph_pass` of the result keeps
        the coefficients and J_gce, with gradient to the graph, for `generator_losses`.

        Arguments and errors as `NegativeGenerator.forward`.
        """
        layout = self._layout(labels, layout).to(embeddings.device)
        slots = self.to_slots(embeddings, layout)
        # Coefficients are detached, so only the node cross entropy reaches the embedder this way.
        nodes = slots if self.node_ce_reaches_embedder else slots.detach()
        once = self.passes == "one" and self.has_generator_losses and torch.is_grad_enabled()
        if once:
            # A leaf, so that the graph's backward pass can wait until the embedder's is over.
            reaches = nodes.requires_grad and bool(self.node_ce_weight)
            nodes = nodes.detach().requires_grad_(reaches)
        losses, node_ce = {}, None

        def add_node_ce(features: Tensor) -> None:
            nonlocal node_ce
            node_ce = self._node_ce(features, layout)
            if node_ce is not None:
                losses["node_ce"] = pass_gradient_on(node_ce, nodes, slots) if once else node_ce

        correlation = self._correlate(
            nodes, layout, detach_coefficients=not once, on_class_features=add_node_ce
        )
        attached, pairs = correlation.coefficients, correlation.pairs
        del correlation  # frees the remaining outputs
        coefficients, draws = attached.detach(), draw_fold_scalars(slots, draws)
        negatives, own = self._mix(slots, coefficients, pairs, draws), own_anchors(pairs)
        losses |= self._linear_ce(slots, layout)
        losses = {name: share_of(value, own) for name, value in losses.items()}
        kept = None if node_ce is None else share_of(node_ce, own)
        graph_pass = GraphPass(attached, pairs, draws, kept) if once else None
        if self.synthetic_weight:
            synthetic = self._synthetic_term(slots, Synthetic(negatives), own)
            ramp = self.hardness.synthetic_weight(self.beta).to(synthetic.dtype)
            losses = {"synthetic": self.synthetic_weight * ramp * synthetic, **losses}
        total = sum(losses.values(), slots.new_zeros(()))
        negatives = self.normalize_if_configured(negatives)
        return HardNegatives(
            negatives, layout, losses, total, slots, coefficients, pairs, own, graph_pass
        )

    def classifier_loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """10 · cross entropy of the linear classifier on the detached embeddings."""
        embeddings = embeddings.detach()
        embeddings = F.normalize(embeddings) if self.normalize else embeddings
        weight, bias = self.classifier.weight, self.classifier.bias
        loss = linear_cross_entropy(embeddings, weight, bias, labels.long(), reduction="mean")
        return CLASSIFIER_WEIGHT * loss

    def generator_losses(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        layout: BatchLayout | None = None,
        draws: Tensor | None = None,
        graph_pass: GraphPass | None = None,
    ) -> HardNegatives:
        r"""Losses that train the graph to create good negatives, on detached embeddings.

        .. math:: J_{gen} = \tfrac12 \big[ \gamma \, \mathrm{CE}(\mathrm{classifier}(\tilde n), b)
            + w_{sim} \, \mathrm{mean}(1 - \cos(z_a, \tilde n)) + w_{div} \, 0.01 \, J_{div} \big]

        `losses` holds the cross entropy times γ, the unweighted similarity term and the diversity
        term times 0.01. The classifier is fixed. Arguments as in `forward`.

        With a `graph_pass` of `forward`, its coefficients and draws make the negatives, and the
        graph does not run again. `total` has the value of J_gen, but the gradient of J_gen + J_gce.
        """
        layout = self._layout(labels, layout).to(embeddings.device)
        slots, node_ce = self.to_slots(embeddings.detach(), layout), None
        if graph_pass is None:
            correlation = self._correlate(slots, layout)
            coefficients, pairs = correlation.coefficients, correlation.pairs
            del correlation  # frees the remaining outputs before backward
        else:
            coefficients, pairs, draws, node_ce = graph_pass.take()
        negatives, own = self._mix(slots, coefficients, pairs, draws), own_anchors(pairs)
        # The classifier is trained on what the metric step uses: on the unit sphere if configured.
        negatives = self.normalize_if_configured(negatives)
        weight, bias = self.classifier.weight.detach(), self.classifier.bias.detach()
        generator_ce = negative_classification(
            negatives, weight, bias, layout.classes, self.keep_own_class, own
        )
        losses = {
            "generator_ce": self.gamma * generator_ce,
            "similarity": anchor_similarity(slots, negatives, self.misplaced_similarity_mask, own),
            "diversity": share_of(DIVERSITY_SCALE * diversity(coefficients, pairs), own),
        }
        total = 0.5 * (
            losses["generator_ce"]
            + self.similarity_weight * losses["similarity"]
            + self.diversity_weight * losses["diversity"]
        )
        if node_ce is not None:
            total = total + (node_ce - node_ce.detach())
        return HardNegatives(negatives, layout, losses, total, slots, coefficients, pairs, own)

    def make_negatives(self, slots: Tensor, layout: BatchLayout, draws: Tensor | None) -> Synthetic:
        """Create the negatives only, with detached coefficients."""
        correlation = self._correlate(slots.detach(), layout, detach_coefficients=True)
        return Synthetic(self._mix(slots, correlation.coefficients, correlation.pairs, draws))

    def _node_ce(self, features: Tensor, layout: BatchLayout) -> Tensor | None:
        """J_gce with its weight; None without it."""
        if not self.node_ce_weight:
            return None
        head, labels = self.graph.class_head, layout.labels
        loss = linear_cross_entropy(features, head.weight, head.bias, labels, reduction="mean")
        return self.node_ce_weight * loss

    def _correlate(self, slots: Tensor, layout: BatchLayout, **settings: Any) -> Correlation:
        """Run the graph network; `settings` as in its `forward`."""
        nodes = slots.flatten(0, 1)
        if self.path == "sparse":
            graph = batch_graph(nodes, layout.labels)
        else:
            graph = self.graph.build_graph(nodes, layout.labels, layout.group)
        return self.graph(graph, **settings)

    def _mix(
        self, slots: Tensor, coefficients: Tensor, pairs: Pairs | None, draws: Tensor | None
    ) -> Tensor:
        if self.shared_channels:
            coefficients = coefficients.mean(-1, keepdim=True).expand_as(coefficients)
        strength = self.hardness.strength(self.alpha).to(slots.dtype)
        # Slots are already detached in the generator step, where pairs are faster.
        draws, detach = draw_fold_scalars(slots, draws), self.detach_anchor and slots.requires_grad
        return synthetic_negatives(slots, coefficients, strength, draws, pairs, detach)
