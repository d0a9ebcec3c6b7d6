"""The three backbones of GCA-HNG, configured as in the published code."""

from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from torchvision import models

from gcahng.models.backbones.libraries import (
    TORCHVISION_HOST,
    build_with_weights,
    fetching,
    timm_backbone,
)


class ResNet50(nn.Module):
    """Torchvision's ResNet-50 with the sum of global average and global maximum pooling.

    Args:
        pretrained: Load torchvision's first ImageNet weights (IMAGENET1K_V1).
        weights: Load this file instead, with torchvision's parameter names.
        pooling: `avg_max`, as in the published code, or `avg`.

    Shapes:
        `[N, 3, H, W]` to `[N, 2048]`.

    Raises:
        ValueError: As `build_backbone`.

    Source: He et al. (CVPR 2016); GCA-HNG (IJCV 2025), implementation details.

    Example:
        >>> import torch
        >>> with torch.device("meta"):  # shapes only, without memory or computation
        ...     backbone = ResNet50(pretrained=False).eval()
        ...     features = backbone(torch.empty(2, 3, 224, 224))
        >>> features.shape
        torch.Size([2, 2048])
    """

    out_channels = 2048

    def __init__(
        self,
        pretrained: bool = True,
        weights: str | Path | None = None,
        pooling: Literal["avg_max", "avg"] = "avg_max",
    ) -> None:
        super().__init__()
        self.pooling = pooling

        def make(from_hub: bool) -> nn.Module:
            with fetching("resnet50", TORCHVISION_HOST):
                network = models.resnet50(weights="IMAGENET1K_V1" if from_hub else None)
            network.fc = nn.Identity()
            return network

        self.model = build_with_weights(make, "resnet50", pretrained, weights)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `[N, 3, H, W]` to features `[N, 2048]`."""
        net: Any = self.model
        features = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        features = net.layer4(net.layer3(net.layer2(net.layer1(features))))
        average = features.mean(dim=(2, 3))
        return average if self.pooling == "avg" else average + features.amax(dim=(2, 3))

    def extra_repr(self) -> str:
        """Show the pooling."""
        return f"pooling={self.pooling}"


def googlenet(
    pretrained: bool = True, weights: str | Path | None = None, renormalize: bool = True
) -> nn.Module:
    """Torchvision's GoogLeNet up to its average pooling, without auxiliary heads and dropout.

    Args:
        pretrained: Load torchvision's ImageNet weights (IMAGENET1K_V1).
        weights: Load this file instead.
        renormalize: Convert ImageNet-normalised inputs to (x - 0.5) / 0.5, the normalisation that
            the ImageNet weights were trained with; true in the published code.

    Shapes:
        `[N, 3, H, W]` to `[N, 1024]`.

    Source: Szegedy et al. (CVPR 2015); GCA-HNG (IJCV 2025), implementation details.
    """

    def make(from_hub: bool) -> nn.Module:
        with fetching("googlenet", TORCHVISION_HOST):
            network = models.googlenet(
                weights="IMAGENET1K_V1" if from_hub else None,
                # Pretrained weights include auxiliary heads, which are removed below.
                **({} if from_hub else {"aux_logits": False, "init_weights": True}),
            )
        network.aux_logits, network.aux1, network.aux2 = False, None, None
        network.transform_input = renormalize
        network.dropout, network.fc = nn.Identity(), nn.Identity()
        network.out_channels = 1024
        return network

    return build_with_weights(make, "googlenet", pretrained, weights)


def dino_vits16(pretrained: bool = True, weights: str | Path | None = None) -> nn.Module:
    """ViT-S/16 pretrained with DINO; the features are the class token after the final norm.

    A file `weights` has the parameter names of DINO or timm (they agree).

    Shapes:
        `[N, 3, 224, 224]` to `[N, 384]`.

    Source: Caron et al. (ICCV 2021); GCA-HNG (IJCV 2025), implementation details.
    """
    return timm_backbone("vit_small_patch16_224.dino", pretrained, weights)
