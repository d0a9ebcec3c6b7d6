"""Negative generators: embeddings and labels in, negatives and losses out."""

from torch import nn

from gcahng.generators.gca_hng import HardNegativeGenerator, HardNegatives

GENERATORS: dict[str, type[nn.Module]] = {"gca_hng": HardNegativeGenerator}

__all__ = ["GENERATORS", "HardNegativeGenerator", "HardNegatives"]
