"""GoogLeNet, configured as in GCA-HNG."""

from pathlib import Path

from torch import nn
from torchvision.models import GoogLeNet_Weights
from torchvision.models import googlenet as torchvision_googlenet

from gcahng.models.backbones.libraries import TORCHVISION_HOST, build_with_weights, fetching


def googlenet(
    pretrained: bool = True, weights: str | Path | None = None, renormalize: bool = True
) -> nn.Module:
    """Torchvision's GoogLeNet up to its average pooling, without auxiliary heads and dropout.

    Args:
        pretrained: Load torchvision's ImageNet weights (IMAGENET1K_V1).
        weights: Load this file instead, with torchvision's parameter names.
        renormalize: Convert ImageNet-normalised inputs to (x - 0.5) / 0.5, the normalisation that
            the ImageNet weights were trained with; true in the published code.

    Shapes:
        `[N, 3, H, W]` to `[N, 1024]`.

    Raises:
        ConnectionError: If the ImageNet weights cannot be downloaded.
        FileNotFoundError: If the file is missing.
        ValueError: If the file does not contain a GoogLeNet.

    Source: Szegedy et al. (CVPR 2015); GCA-HNG (IJCV 2025), implementation details.
    """

    def make(from_hub: bool) -> nn.Module:
        with fetching("googlenet", TORCHVISION_HOST):
            network = torchvision_googlenet(
                weights=GoogLeNet_Weights.IMAGENET1K_V1 if from_hub else None,
                # Pretrained weights include auxiliary heads, which are removed below.
                **({} if from_hub else {"aux_logits": False, "init_weights": True}),
            )
        network.aux_logits, network.aux1, network.aux2 = False, None, None
        network.transform_input = renormalize
        network.dropout, network.fc = nn.Identity(), nn.Identity()
        network.out_channels = 1024
        return network

    return build_with_weights(make, "googlenet", pretrained, weights)
