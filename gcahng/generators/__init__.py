"""Hard-negative generators, called as `generator(embeddings, labels)`.

Example:
    >>> import torch
    >>> generator = GENERATORS.build("hdml", 8, 3, alpha=2.0)
    >>> embeddings, labels = torch.randn(6, 8), torch.tensor([0, 1, 2, 0, 1, 2])
    >>> generator(embeddings, labels).negatives.shape
    torch.Size([2, 3, 3, 8])
"""

from gcahng.generators.base import GeneratorArguments, HardNegatives, NegativeGenerator
from gcahng.generators.class_loss import ClassLoss
from gcahng.generators.fixed_mixing import HDML, RandomChannel, Scalar, Unmoved
from gcahng.generators.gca_hng import HardNegativeGenerator
from gcahng.generators.hardest_point import (
    DenselyAnchoredSampling,
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
    "GeneratorArguments",
    "HardNegativeGenerator",
    "HardNegatives",
    "NegativeGenerator",
]
