"""No negatives at all: the control for class losses."""

from typing import Any

from torch import Tensor

from gcahng.generators.base import NegativeGenerator
from gcahng.graph import BatchLayout


class ClassLoss(NegativeGenerator):
    """A class loss on a BatchNorm and linear head beside the metric loss, and nothing else.

    What GCA-HNG's graph gives the embedder beside its negatives is a class loss on the nodes; this
    is the same without a graph.

    Args:
        *args: As `NegativeGenerator`.
        linear_ce_weight: Weight of the class loss.
        **settings: As `NegativeGenerator`.
    """

    def __init__(self, *args: Any, linear_ce_weight: float = 1.0, **settings: Any) -> None:
        super().__init__(*args, linear_ce_weight=linear_ce_weight, **settings)

    def make_negatives(self, slots: Tensor, layout: BatchLayout, draws: Tensor | None) -> None:
        """Make none."""
