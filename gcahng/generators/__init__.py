"""Negative generators: embeddings and labels in, negatives and losses out."""

from gcahng.generators.gca_hng import HardNegativeGenerator, HardNegatives

GENERATORS: dict[str, type[HardNegativeGenerator]] = {"gca_hng": HardNegativeGenerator}

__all__ = ["GENERATORS", "HardNegativeGenerator", "HardNegatives"]
