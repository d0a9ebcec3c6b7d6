"""The losses and one training iteration written out from their formulas, a sample at a time."""

import math

import torch
from torch import Tensor, nn

from gcahng import HardNegativeGenerator
from tests.graph import oracle as graph_oracle

NORM_WEIGHT = 0.25 * 3e-3


def cross_entropy(scores: list[Tensor], target: int) -> Tensor:
    """-log of the target's softmax probability."""
    highest = max(float(score.detach()) for score in scores)
    total = sum((score - highest).exp() for score in scores)
    return total.log() + highest - scores[target]


def mean(values: list[Tensor]) -> Tensor:
    return sum(values) / len(values)


def npair(slots: Tensor) -> Tensor:
    """Slot 0 as anchors against every other slot, and the squared norms once."""
    samples, classes, _ = slots.shape
    losses = [
        cross_entropy([slots[0, a] @ slots[p, b] for b in range(classes)], a)
        for p in range(1, samples)
        for a in range(classes)
    ]
    return mean(losses) + NORM_WEIGHT * (slots * slots).sum() / classes


def synthetic_npair(slots: Tensor, negatives: Tensor) -> Tensor:
    """Every slot as anchors against its own negatives, the positive in place of b = a."""
    samples, classes, _ = slots.shape
    terms = []
    for p in range(samples):
        losses, squares = [], 0.0
        for a in range(classes):
            tuples = [negatives[p, a, b] for b in range(classes)]
            tuples[a] = slots[(p + 1) % samples, a]
            losses.append(cross_entropy([slots[p, a] @ t for t in tuples], a))
            squares = squares + sum((t * t).sum() for t in tuples)
        anchors = (slots[p] * slots[p]).sum() / classes
        terms.append(mean(losses) + NORM_WEIGHT * (anchors + squares / classes**2))
    return mean(terms)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / ((a * a).sum().sqrt() * (b * b).sum().sqrt())


def proxy_anchor(
    z: Tensor, labels: Tensor, proxies: Tensor, alpha: float = 32.0, delta: float = 0.1
) -> Tensor:
    pull, push = [], []
    for c, proxy in enumerate(proxies):
        similar = [
            (cosine(row, proxy), int(label) == c) for row, label in zip(z, labels, strict=True)
        ]
        own = [(-alpha * (s - delta)).exp() for s, positive in similar if positive]
        other = [(alpha * (s + delta)).exp() for s, positive in similar if not positive]
        if own:
            pull.append((1 + sum(own)).log())
        push.append((1 + sum(other, z.new_zeros(()))).log())
    return mean(pull) + mean(push)


def negative_classification(logits: Tensor, classes: Tensor, keep_own_class: bool) -> Tensor:
    samples, sampled = logits.shape[:2]
    return mean(
        [
            cross_entropy(list(logits[p, a, b]), int(classes[b]))
            for p in range(samples)
            for a in range(sampled)
            for b in range(sampled)
            if keep_own_class or b != a
        ]
    )


def misplaced(samples: int, classes: int) -> set[int]:
    """Flat positions i·B + i + k·S that the published code sets to 0."""
    batch = samples * classes
    return {i * batch + i + k * classes for i in range(classes) for k in range(samples)}


def similarity(slots: Tensor, negatives: Tensor, misplaced_mask: bool) -> Tensor:
    samples, classes, _ = slots.shape
    wrong, values = misplaced(samples, classes), []
    for p in range(samples):
        for a in range(classes):
            for b in range(classes):
                value = 1 - cosine(slots[p, a], negatives[p, a, b])
                if misplaced_mask:
                    flat = (p * classes + a) * classes + b
                    values.append(0 * value if flat in wrong else value)
                elif b != a:
                    values.append(value)
    return mean(values)


def diversity(eta: Tensor) -> Tensor:
    size = len(eta)
    total = 0.0
    for i in range(size):
        average = sum(eta[i, j] for j in range(size)) / size
        total = total + sum(((eta[i, j] - average) ** 2).sum() for j in range(size))
    return 1 - (total / size**2).sqrt()


def node_ce(logits: Tensor, labels: Tensor) -> Tensor:
    rows = zip(logits, labels, strict=True)
    return mean([cross_entropy(list(row), int(label)) for row, label in rows])


def to_slots(z: Tensor, labels: Tensor) -> Tensor:
    """[B, D] in slot-major order → [P, S, D]."""
    classes = len(set(labels.tolist()))
    return z.view(len(z) // classes, classes, -1)


def added_to_metric(
    generator: HardNegativeGenerator, z: Tensor, labels: Tensor, draws: Tensor
) -> dict[str, Tensor]:
    """Weighted synthetic term (η detached) and node cross entropy, a slot-major batch."""
    return one_pass(generator, z, labels, draws)[0]


def one_pass(
    generator: HardNegativeGenerator, z: Tensor, labels: Tensor, draws: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """The terms of `added_to_metric`, and η with gradient."""
    if generator.normalize:
        z = z / z.norm(dim=1, keepdim=True)
    slots, hardness = to_slots(z, labels), generator.hardness
    eta, logits = graph_oracle.network(generator.graph, z, labels)
    strength = math.exp(-generator.alpha / float(hardness.metric))
    negatives = graph_oracle.negatives(slots, eta.detach(), strength, draws)
    weight = 1 - math.exp(-generator.beta / float(hardness.generator))
    synthetic = weight * synthetic_npair(slots, negatives)
    return {"synthetic": synthetic, "node_ce": node_ce(logits, labels)}, eta


def generator_loss(
    generator: HardNegativeGenerator,
    z: Tensor,
    labels: Tensor,
    draws: Tensor,
    eta: Tensor | None = None,
) -> Tensor:
    """J_gen on detached embeddings, a slot-major batch; η from the graph unless given."""
    z = z.detach()
    if generator.normalize:
        z = z / z.norm(dim=1, keepdim=True)
    slots = to_slots(z, labels)
    if eta is None:
        eta, _ = graph_oracle.network(generator.graph, z, labels)
    strength = math.exp(-generator.alpha / float(generator.hardness.metric))
    negatives = graph_oracle.negatives(slots, eta, strength, draws)
    if generator.normalize:
        negatives = negatives / negatives.norm(dim=-1, keepdim=True)
    classes = labels[: slots.size(1)]
    logits = negatives @ generator.classifier.weight.t() + generator.classifier.bias
    ce = negative_classification(logits, classes, "same_class_negatives" in generator.quirks)
    alike = similarity(slots, negatives, "similarity_mask" in generator.quirks)
    return 0.5 * (
        generator.weights["gamma"] * ce
        + generator.weights["similarity"] * alike
        + generator.weights["diversity"] * 0.01 * diversity(eta)
    )


def classifier_loss(classifier: nn.Linear, z: Tensor, labels: Tensor) -> Tensor:
    scores = [
        [w @ row + b for w, b in zip(*classifier.parameters(), strict=True)] for row in z.detach()
    ]
    return 10 * mean([cross_entropy(s, int(c)) for s, c in zip(scores, labels, strict=True)])


def permutation(size: int) -> Tensor:
    """A fixed shuffle that moves most samples."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(5))
