"""How hard the negatives of an epoch are, in a few numbers."""

from typing import Any

import torch
from torch import Tensor

from gcahng.generators import HardNegatives
from gcahng.graph.distances import batch_distances
from gcahng.losses.generator import diversity

BINS = 40


@torch.no_grad()
def hardness_row(
    epoch: int, made: HardNegatives, negatives: Tensor | None = None
) -> dict[str, Any]:
    r"""Summarize the distances to the anchors of one batch as histograms.

    Args:
        epoch: Number of the epoch.
        made: Negatives of the batch.
        negatives: `made.all_negatives()`, if known already.

    Returns:
        `epoch`; `upper`, the largest distance; counts in `BINS` equal bins of [0, upper] as
        `positive` and `negative`. With synthetic negatives also `synthetic`, and `harder`, the
        share of them nearer than their class's nearest real sample. With coefficients also
        `diversity`, the spread :math:`1 - J_{div}` of a node's coefficients over its partners.
    """
    negatives = made.all_negatives() if negatives is None else negatives
    distances = batch_distances(made.slots, negatives)
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
    # If all embeddings are equal, the range is empty; histc reads 0, 0 as "use the data's range".
    edge = upper or 1.0
    return torch.histc(values.cpu(), BINS, 0.0, edge).int().tolist()
