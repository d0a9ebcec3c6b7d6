"""Networks from images to embeddings."""

from gcahng.models.backbones import BACKBONES, ResNet50, SmallConv, build_backbone
from gcahng.models.embedder import Embedder
from gcahng.models.heads import ResidualHead

__all__ = ["BACKBONES", "Embedder", "ResNet50", "ResidualHead", "SmallConv", "build_backbone"]
