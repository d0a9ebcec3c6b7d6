"""Figure of the distances of positives and negatives to their anchors."""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph.precision import full_precision
from gcahng.graph.visualize.learned import as_array, class_slots, describe, require
from gcahng.graph.visualize.style import COLOURS, STYLE

# Colour, line style and label of each kind of distance.
KINDS = {
    "positive": (COLOURS[2], "-", "anchor to positive"),
    "negative": (COLOURS[0], "--", "anchor to real negative"),
    "synthetic": (COLOURS[1], "-", "anchor to synthetic negative"),
}
BINS = 40
ROUNDING = 1e-5


class Distances(NamedTuple):
    """Euclidean distances to the anchors of one batch, in units of the embedding.

    Attributes:
        positive: [P, S], from anchor (p, a) to sample ((p + 1) mod P, a).
        negative: [P, S, S-1, P], to every sample of the other classes.
        synthetic: [P, S, S-1], to the synthetic negative of each other class.
    """

    positive: Tensor
    negative: Tensor
    synthetic: Tensor

    @property
    def harder(self) -> float:
        """Share of synthetic negatives nearer than the nearest real sample, beyond rounding."""
        return float((self.synthetic < (1 - ROUNDING) * self.negative.amin(-1)).double().mean())


@torch.no_grad()
@full_precision
def batch_distances(slots: Tensor, negatives: Tensor) -> Distances:
    """Compute the distances of slots [P, S, D] and their negatives [P, S, S, D]; b = a left out."""
    samples, classes, _ = slots.shape
    flat = slots.flatten(0, 1)
    between = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    between = between.view(samples, classes, samples, classes).transpose(2, 3)
    slot, own = torch.arange(samples), torch.arange(classes)
    positive = between[slot[:, None], own, own, (slot[:, None] + 1) % samples]
    others = ~torch.eye(classes, dtype=torch.bool, device=slots.device)
    negative = between[:, others].view(samples, classes, classes - 1, samples)
    synthetic = torch.linalg.vector_norm(negatives - slots.unsqueeze(2), dim=-1)
    return Distances(positive, negative, synthetic[:, others].view(samples, classes, classes - 1))


def draw_distances(graph: Data) -> Figure:
    """Draw histograms of the distances from anchors to positives and real and synthetic negatives.

    The further left a negative, the harder it is; vertical lines are medians.

    Args:
        graph: With slot-major nodes of S ≥ 2 classes and `negatives` [P, S, S, D].

    Example:
        >>> from gcahng.graph import batch_graph
        >>> graph = batch_graph(torch.eye(4), labels=torch.tensor([0, 1, 0, 1]))
        >>> anchors, others = graph.x.view(2, 2, 1, 4), graph.x.view(2, 1, 2, 4)
        >>> graph.negatives = (anchors + others) / 2
        >>> draw_distances(graph).get_suptitle()
        '2 classes × 2 images: 100% of the synthetic negatives are harder, ...'
    """
    negatives, slots = require(graph, "negatives"), class_slots(graph)
    if slots.size(1) < 2:
        raise ValueError("Expected a graph of at least 2 classes (got 1)")
    found = batch_distances(slots, negatives.detach().to(slots))
    values = {kind: as_array(getattr(found, kind)).flatten() for kind in KINDS}
    if slots.size(0) == 1:
        # A class with one image has no positive.
        del values["positive"]
    upper = max(float(distances.max()) for distances in values.values()) or 1.0
    with rc_context(STYLE):
        figure = Figure((7.4, 4.8))
        axes = figure.add_subplot()
        for kind, distances in values.items():
            colour, dash, label = KINDS[kind]
            median = float(np.median(distances))
            counts, edges = np.histogram(distances, BINS, (0, upper))
            heights = 100 * counts / counts.sum()
            axes.stairs(heights, edges, color=colour, alpha=0.15, fill=True)
            label = f"{label} (median {median:.3g})"
            axes.stairs(heights, edges, color=colour, linestyle=dash, linewidth=1.8, label=label)
            axes.axvline(median, color=colour, linestyle=dash, linewidth=1)
        axes.set(xlabel="distance, units of the embedding", xlim=(0, upper))
        axes.set(ylabel="share of each kind's\npairs in a bin [%]", ylim=(0, None))
        figure.legend(loc="outside lower center")
        figure.suptitle(
            f"{describe(graph)}: {found.harder:.0%} of the synthetic negatives are harder, nearer\n"
            "to their anchor, than the nearest real image of their class"
        )
    return figure
