"""From images to embeddings."""

from models.backbones import BACKBONES, ResNet50, SmallConv, build_backbone, find_backbone
from models.embedder import Embedder

__all__ = ["BACKBONES", "Embedder", "ResNet50", "SmallConv", "build_backbone", "find_backbone"]
