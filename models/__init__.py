"""Networks from images to embeddings."""

from gcahng.models.backbones import BACKBONES, ResNet50, SmallConv, build_backbone
from gcahng.models.embedder import Embedder

__all__ = ["BACKBONES", "Embedder", "ResNet50", "SmallConv", "build_backbone"]
