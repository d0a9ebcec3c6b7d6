"""GCA-HNG: hard negatives from learned global correlations within a batch."""

from collections.abc import Collection, Sequence
from typing import Any, Literal, get_args

from torch import Tensor, nn
from typing_extensions import TypedDict, Unpack

from gcahng.arguments import check_names, check_weights
from gcahng.generators.base import (
    GeneratorArguments,
    HardNegatives,
    NegativeGenerator,
    Synthetic,
    draw_fold_scalars,
)
from gcahng.graph import (
    BatchLayout,
    Correlation,
    CorrelationNetwork,
    Layer,
    batch_graph,
    synthetic_negatives,
)
from gcahng.graph.batch import divide_among_processes, own_anchors
from gcahng.graph.convs.parts import check_choice
from gcahng.graph.dense.pairs import Pairs
from gcahng.losses.generator import anchor_similarity, diversity, negative_classification
from gcahng.losses.linear_cross_entropy import linear_cross_entropy

# Published weights of the classifier's cross entropy and of the diversity term.
CLASSIFIER_WEIGHT = 10.0
DIVERSITY_SCALE = 0.01

# Where the published code differs from the paper.
Quirk = Literal["similarity_mask", "same_class_negatives", "edge_heads"]


class GraphArguments(TypedDict, total=False):
    """The graph network of `HardNegativeGenerator`; defaults in `GRAPH`.

    Attributes:
        conv: The layer: a key of `gcahng.graph.CONVS`, `module.path:ClassName` for a layer of your
            own, or {name, args}.
        layers: Number of layers, or a sequence of layers given as for `conv`.
        heads: Attention heads of the layers.
        edge_heads: Heads of the edge attention; None: as `heads`.
        edge_dropout: Whether edges i → j and j → i share their dropout mask: "tied", "independent"
            (published) or "off".
        dropout: Dropout rate of the edge attention.
        path: "dense" (fast) or "sparse" (message-passing reference).
        memory: What the dense path saves for backward: "auto", "balanced" or "low".
    """

    conv: Layer
    layers: int | Sequence[Layer]
    heads: int
    edge_heads: int | None
    edge_dropout: Literal["tied", "independent", "off"]
    dropout: float
    path: Literal["dense", "sparse"]
    memory: Literal["auto", "balanced", "low"]


class GeneratorWeights(TypedDict, total=False):
    """Weights of the losses of `HardNegativeGenerator`, at least 0; defaults in `WEIGHTS`."""

    gamma: float  # γ, of the classifier's cross entropy on the negatives
    similarity: float  # w_sim
    diversity: float  # w_div
    node_ce: float  # of the node cross entropy J_gce in the metric step


GRAPH: GraphArguments = {
    "conv": "gca",
    "layers": 2,
    "heads": 4,
    "edge_heads": None,
    "edge_dropout": "tied",
    "dropout": 0.1,
    "path": "dense",
    "memory": "auto",
}
WEIGHTS: GeneratorWeights = {"gamma": 20.0, "similarity": 20.0, "diversity": 60.0, "node_ce": 1.0}


class HardNegativeGenerator(NegativeGenerator):
    r"""Generate hard negatives and the losses that train embedder and generator.

    One training iteration, with separate optimizers for embedder and generator::

        negatives = generator(embeddings, labels)
        (metric_loss + negatives.total).backward()        # then step embedder and graph
        generator.classifier_loss(embeddings, labels).backward()   # then step the classifier
        generated = generator.generator_losses(embeddings, labels)
        generated.total.backward()                        # then step the graph again
        generator.hardness.record(metric_loss, generated.total)

    and `generator.hardness.end_epoch()` after each epoch, as `gcahng.training.step.TrainingStep`
    does. The batch must be class-balanced (S ≥ 2 classes with P ≥ 2 samples each), in any order.
    Processes share one graph, and each computes its part of the losses, only if all have the whole
    batch and pass `layout=batch_layout(labels, group)`.

    Args:
        embedding_dim: D; divisible by `heads`.
        num_classes: Number of training classes; labels lie in [0, num_classes).
        graph: The graph network, see `GraphArguments`.
        alpha: α in the strength exp(-α/J̄) of the coefficients, J̄ the mean metric loss.
        beta: β in the weight 1 - exp(-β/J_gen) of the synthetic term; None: weight 1.
        weights: Weights of the losses, see `GeneratorWeights`.
        node_ce_reaches_embedder: Whether J_gce trains the embedder beside the graph, as published.
        shared_channels: Replace the coefficients of a pair by their mean over channels.
        quirks: Deviations of the published code to follow: "similarity_mask", see
            `anchor_similarity`; "same_class_negatives", see `negative_classification`;
            "edge_heads", one head of the edge attention whatever `graph` says.
        **settings: As `NegativeGenerator`.

    Source: Peng et al., GCA-HNG (IJCV 2025).

    Example:
        >>> import torch
        >>> generator = HardNegativeGenerator(8, num_classes=3, graph={"layers": 1, "heads": 2})
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
        graph: GraphArguments = GRAPH,
        alpha: float = 5.0,
        beta: float | None = 20.0,
        weights: GeneratorWeights = WEIGHTS,
        node_ce_reaches_embedder: bool = True,
        shared_channels: bool = False,
        quirks: Collection[Quirk] = (),
        **settings: Unpack[GeneratorArguments],
    ) -> None:
        super().__init__(embedding_dim, num_classes, **settings)
        check_names("graph", graph, GRAPH)
        check_names("weights", weights, WEIGHTS)
        check_names("quirks", quirks, get_args(Quirk))
        self.weights: GeneratorWeights = {**WEIGHTS, **weights}
        check_weights(alpha=alpha, beta=beta or 0.0, **self.weights)
        chosen: dict[str, Any] = {**GRAPH, **graph}
        self.path = chosen.pop("path")
        check_choice("path", self.path, ("dense", "sparse"))
        own_heads = chosen["heads"] if chosen["edge_heads"] is None else chosen["edge_heads"]
        chosen["edge_heads"] = 1 if "edge_heads" in quirks else own_heads
        self.graph = CorrelationNetwork(embedding_dim, num_classes, **chosen)
        self.classifier = nn.Linear(embedding_dim, num_classes)
        self.alpha, self.beta = alpha, beta
        self.node_ce_reaches_embedder = node_ce_reaches_embedder
        self.shared_channels = shared_channels
        self.quirks = frozenset(quirks)

    @property
    def has_generator_losses(self) -> bool:
        """True if any generator term has a nonzero weight."""
        return any(self.weights[name] for name in ("gamma", "similarity", "diversity"))

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        layout: BatchLayout | None = None,
        draws: Tensor | None = None,
    ) -> HardNegatives:
        r"""Create the negatives and the terms to add to the metric loss, as `NegativeGenerator`.

        .. math:: (1 - e^{-\beta / \bar J_{gen}}) \, J_{syn} + J_{gce}

        The coefficients are detached: the synthetic term trains the embedder only, the node cross
        entropy J_gce trains embedder and graph.
        """
        layout = self._layout(labels, layout).to(embeddings.device)
        slots = self.to_slots(embeddings, layout)
        # Coefficients are detached, so only the node cross entropy reaches the embedder this way.
        nodes = slots if self.node_ce_reaches_embedder else slots.detach()
        correlation = self._correlate(nodes, layout, detach_coefficients=True)
        coefficients, pairs = correlation.coefficients, correlation.pairs
        losses = {}
        if weight := self.weights["node_ce"]:
            head = self.graph.class_head
            args = (correlation.class_features, head.weight, head.bias, layout.labels)
            losses["node_ce"] = weight * linear_cross_entropy(*args, reduction="mean")
        del correlation  # frees the remaining outputs
        negatives, own = self._mix(slots, coefficients, pairs, draws), own_anchors(pairs)
        losses |= self._linear_ce(slots, layout)
        losses = {name: divide_among_processes(value, own) for name, value in losses.items()}
        if self.synthetic_weight:
            synthetic = self._synthetic_term(slots, Synthetic(negatives), own)
            ramp = self.hardness.synthetic_weight(self.beta).to(synthetic.dtype)
            losses = {"synthetic": self.synthetic_weight * ramp * synthetic, **losses}
        total = sum(losses.values(), slots.new_zeros(()))
        negatives = self.normalize_if_configured(negatives)
        return HardNegatives(negatives, layout, losses, total, slots, coefficients, pairs, own)

    def classifier_loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """10 · cross entropy of the linear classifier on the detached embeddings."""
        embeddings = self.normalize_if_configured(embeddings.detach())
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
    ) -> HardNegatives:
        r"""Losses that train the graph to create good negatives, on detached embeddings.

        .. math:: J_{gen} = \tfrac12 \big[ \gamma \, \mathrm{CE}(\mathrm{classifier}(\tilde n), b)
            + w_{sim} \, \mathrm{mean}(1 - \cos(z_a, \tilde n)) + w_{div} \, 0.01 \, J_{div} \big]

        `losses` holds γ times the cross entropy, the unweighted similarity term and 0.01 times the
        diversity term. The classifier is fixed. Arguments as in `forward`.
        """
        layout = self._layout(labels, layout).to(embeddings.device)
        slots = self.to_slots(embeddings.detach(), layout)
        correlation = self._correlate(slots, layout)
        coefficients, pairs = correlation.coefficients, correlation.pairs
        del correlation  # frees the remaining outputs before backward
        negatives, own = self._mix(slots, coefficients, pairs, draws), own_anchors(pairs)
        # The classifier is trained on what the metric step uses: on the unit sphere if configured.
        negatives = self.normalize_if_configured(negatives)
        weight, bias = self.classifier.weight.detach(), self.classifier.bias.detach()
        keep_own = "same_class_negatives" in self.quirks
        misplaced = "similarity_mask" in self.quirks
        generator_ce = negative_classification(
            negatives, weight, bias, layout.classes, keep_own, own
        )
        losses = {
            "generator_ce": self.weights["gamma"] * generator_ce,
            "similarity": anchor_similarity(slots, negatives, misplaced, own),
            "diversity": divide_among_processes(
                DIVERSITY_SCALE * diversity(coefficients, pairs), own
            ),
        }
        total = 0.5 * (
            losses["generator_ce"]
            + self.weights["similarity"] * losses["similarity"]
            + self.weights["diversity"] * losses["diversity"]
        )
        return HardNegatives(negatives, layout, losses, total, slots, coefficients, pairs, own)

    def make_negatives(self, slots: Tensor, layout: BatchLayout, draws: Tensor | None) -> Synthetic:
        """Create the negatives only, with detached coefficients."""
        correlation = self._correlate(slots.detach(), layout, detach_coefficients=True)
        return Synthetic(self._mix(slots, correlation.coefficients, correlation.pairs, draws))

    def _correlate(self, slots: Tensor, layout: BatchLayout, **settings: Any) -> Correlation:
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
