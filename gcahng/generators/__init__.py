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
from gcahng.registry import Registry

GENERATORS: Registry[type[NegativeGenerator]] = Registry(
    "generator",
    {
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
    },
    user_base=NegativeGenerator,
)

__all__ = [
    "GENERATORS",
    "HardNegativeGenerator",
    "HardNegatives",
    "NegativeGenerator",
]
