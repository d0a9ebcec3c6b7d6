"""Networks from images to embeddings."""

from gcahng.models.backbones import BACKBONES, ResNet50, SmallConv, build_backbone
from gcahng.models.embedder import Embedder
from gcahng.models.heads import (
    ClassStatistics,
    ResidualHead,
    WhiteningHead,
    discriminants,
    whitening,
)

__all__ = [
    "BACKBONES",
    "ClassStatistics",
    "Embedder",
    "ResNet50",
    "ResidualHead",
    "SmallConv",
    "WhiteningHead",
    "build_backbone",
    "discriminants",
    "whitening",
]
