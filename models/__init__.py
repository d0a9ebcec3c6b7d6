"""From images to embeddings."""

from models.backbones import BACKBONES, SmallConv, build_backbone
from models.embedder import Embedder

__all__ = ["BACKBONES", "Embedder", "SmallConv", "build_backbone"]
