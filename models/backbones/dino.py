"""DINO's ViT-S/16, configured as in GCA-HNG."""

from pathlib import Path

from torch import nn

from gcahng.models.backbones.libraries import timm_backbone


def dino_vits16(pretrained: bool = True, weights: str | Path | None = None) -> nn.Module:
    """ViT-S/16 pretrained with DINO; the features are the class token after the final norm.

    Args:
        pretrained: Load DINO's weights through timm.
        weights: Load this file instead, with the parameter names of DINO or timm (they agree).

    Shapes:
        `[N, 3, 224, 224]` to `[N, 384]`.

    Raises:
        ConnectionError: If the weights are neither cached nor downloadable.
        FileNotFoundError: If the file is missing.
        ValueError: If the file does not contain a ViT-S/16.

    Source: Caron et al. (ICCV 2021); GCA-HNG (IJCV 2025), implementation details.
    """
    return timm_backbone("vit_small_patch16_224.dino", pretrained, weights)
