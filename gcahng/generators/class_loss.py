"""A class loss without negatives: the control for class losses."""

from torch import Tensor
from typing_extensions import Unpack

from gcahng.generators.base import GeneratorArguments, NegativeGenerator
from gcahng.graph import BatchLayout


class ClassLoss(NegativeGenerator):
    """Add a class loss on a BatchNorm and linear head to the metric loss, and no negatives.

    Args:
        **settings: As `NegativeGenerator`, except that `linear_ce_weight`, the weight of the class
            loss, is 1 by default.
    """

    def __init__(
        self, embedding_dim: int, num_classes: int, **settings: Unpack[GeneratorArguments]
    ) -> None:
        settings.setdefault("linear_ce_weight", 1.0)
        super().__init__(embedding_dim, num_classes, **settings)

    def make_negatives(self, slots: Tensor, layout: BatchLayout, draws: Tensor | None) -> None:
        """Return None: there are no negatives."""
