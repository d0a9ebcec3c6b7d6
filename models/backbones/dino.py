"""DINO's small vision transformer as GCA-HNG uses it."""

from pathlib import Path

from torch import nn

from gcahng.models.backbones.libraries import timm_backbone


def dino_vits16(pretrained: bool = True, weights: str | Path | None = None) -> nn.Module:
    """ViT-S/16 trained by DINO, its class token after the last norm.

    Args:
        pretrained: Start from DINO's weights, by way of timm.
        weights: Start from a file instead: DINO's own or timm's, their names are the same.

    Shapes:
        `[N, 3, 224, 224]` to `[N, 384]`.

    Raises:
        ConnectionError: If the weights are neither cached nor within reach.
        ValueError: If the file does not hold a ViT-S/16.

    Source: Caron et al. (ICCV 2021); GCA-HNG (IJCV 2025), implementation details.
    """
    return timm_backbone("vit_small_patch16_224.dino", pretrained, weights)
