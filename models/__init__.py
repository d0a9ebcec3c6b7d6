"""Networks from images to embeddings."""

from typing import TYPE_CHECKING

from gcahng.registry import imported_on_use

if TYPE_CHECKING:
    from gcahng.models.backbones import BACKBONES, build_backbone
    from gcahng.models.backbones.published_backbones import ResNet50
    from gcahng.models.backbones.small_conv import SmallConv
    from gcahng.models.embedder import Embedder
    from gcahng.models.heads import (
        ClassStatistics,
        ResidualHead,
        WhiteningHead,
        discriminants,
        whitening,
    )
else:
    __getattr__ = imported_on_use(__name__)
