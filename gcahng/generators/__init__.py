"""Sources of hard negatives, called as `generator(embeddings, labels)`."""

from gcahng.generators.base import HardNegatives, NegativeGenerator
from gcahng.generators.class_loss import ClassLoss
from gcahng.generators.das import DenselyAnchoredSampling
from gcahng.generators.fixed_mixing import HDML, RandomChannel, Scalar, Unmoved
from gcahng.generators.gca_hng import HardNegativeGenerator
from gcahng.generators.hardest_point import (
    EmbeddingExpansion,
    HardestReal,
    SymmetricalSynthesis,
)
from gcahng.generators.metrix import Metrix
from gcahng.graph.own_class import import_class
from gcahng.registry import lookup

GENERATORS: dict[str, type[NegativeGenerator]] = {
    "class_loss": ClassLoss,
    "das": DenselyAnchoredSampling,
    "embedding_expansion": EmbeddingExpansion,
    "gca_hng": HardNegativeGenerator,
    "hardest_real": HardestReal,
    "hdml": HDML,
    "metrix": Metrix,
    "random_channel": RandomChannel,
    "scalar": Scalar,
    "symmetrical_synthesis": SymmetricalSynthesis,
    "unmoved": Unmoved,
}

__all__ = [
    "GENERATORS",
    "HardNegativeGenerator",
    "HardNegatives",
    "NegativeGenerator",
    "find_generator",
]


def find_generator(name: str) -> type[NegativeGenerator]:
    """The class of the generator `name`.

    Args:
        name: A key of `GENERATORS`, or `module.path:ClassName` for a `NegativeGenerator` of one's
            own.

    Raises:
        ValueError: If there is none such; the sentence lists what there is.
    """
    if ":" in name:
        return import_class(name, "generator", NegativeGenerator)
    return lookup(GENERATORS, name, "generator")
