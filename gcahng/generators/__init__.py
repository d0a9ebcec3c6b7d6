"""Hard-negative generators, called as `generator(embeddings, labels)`.

Example:
    >>> import torch
    >>> generator = GENERATORS.build("hdml", 8, 3, alpha=2.0)
    >>> embeddings, labels = torch.randn(6, 8), torch.tensor([0, 1, 2, 0, 1, 2])
    >>> generator(embeddings, labels).negatives.shape
    torch.Size([2, 3, 3, 8])
"""

from typing import TYPE_CHECKING

from gcahng.registry import Registry, imported_on_use

if TYPE_CHECKING:
    from gcahng.generators.base import GeneratorArguments, HardNegatives, NegativeGenerator
    from gcahng.generators.gca_hng import HardNegativeGenerator
else:
    __getattr__ = imported_on_use(__name__)

GENERATORS: "Registry[type[NegativeGenerator]]" = Registry(
    "generator",
    {
        "class_loss": "gcahng.generators.class_loss:ClassLoss",
        "das": "gcahng.generators.hardest_point:DenselyAnchoredSampling",
        "embedding_expansion": "gcahng.generators.hardest_point:EmbeddingExpansion",
        "gca_hng": "gcahng.generators.gca_hng:HardNegativeGenerator",
        "hardest_real": "gcahng.generators.hardest_point:HardestReal",
        "hdml": "gcahng.generators.fixed_mixing:HDML",
        "metrix": "gcahng.generators.metrix:Metrix",
        "random_channel": "gcahng.generators.fixed_mixing:RandomChannel",
        "scalar": "gcahng.generators.fixed_mixing:Scalar",
        "symmetrical_synthesis": "gcahng.generators.hardest_point:SymmetricalSynthesis",
        "unmoved": "gcahng.generators.fixed_mixing:Unmoved",
    },
    user_base="gcahng.generators.base:NegativeGenerator",
)

__all__ = [
    "GENERATORS",
    "GeneratorArguments",
    "HardNegativeGenerator",
    "HardNegatives",
    "NegativeGenerator",
]
