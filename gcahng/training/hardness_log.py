"""How hard the negatives were, epoch by epoch, in few numbers."""

from typing import Any

import torch
from torch import Tensor

from gcahng.generators import HardNegatives
from gcahng.graph.distances import batch_distances
from gcahng.losses.generator import diversity

BINS = 40


@torch.no_grad()
def hardness_row(epoch: int, made: HardNegatives) -> dict[str, Any]:
    r"""Distances to the anchors in one batch as histograms.

    Args:
        epoch: Its number.
        made: The batch.

    Returns:
        `epoch`; `upper`, the largest distance; counts in `BINS` equal parts of [0, upper]:
        `positive` and `negative`, and where there are synthetic negatives `synthetic` and `harder`,
        the share of them nearer than their class's nearest real sample; `diversity`, where there
        are coefficients: the spread :math:`1 - J_{div}` of a node's over its partners.
    """
    distances = batch_distances(made.slots, made.negatives)
    values = {
        name: value.flatten().double()
        for name, value in distances._asdict().items()
        if value is not None
    }
    upper = float(torch.cat(list(values.values())).max())
    row: dict[str, Any] = {"epoch": epoch, "upper": upper}
    row |= {name: _counts(value, upper) for name, value in values.items()}
    if distances.harder is not None:
        row["harder"] = distances.harder
    if made.coefficients is not None:
        row["diversity"] = 1 - float(diversity(made.coefficients, made.pairs))
    return row


def _counts(values: Tensor, upper: float) -> list[int]:
    # Equal embeddings have no distances: histc would take 0 for "find the range yourself".
    edge = upper or 1.0
    return torch.histc(values.cpu(), BINS, 0.0, edge).int().tolist()
