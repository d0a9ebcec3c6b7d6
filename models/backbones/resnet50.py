"""ResNet-50 with average plus maximum pooling, as is common in deep metric learning."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torchvision.models import ResNet50_Weights
from torchvision.models import resnet50 as torchvision_resnet50

from gcahng.models.backbones.libraries import TORCHVISION_HOST, build_with_weights, fetching

POOLINGS = ("avg_max", "avg")


class ResNet50(nn.Module):
    """Torchvision's ResNet-50 with the sum of global average and global maximum pooling.

    Args:
        pretrained: Load torchvision's first ImageNet weights (IMAGENET1K_V1).
        weights: Load this file instead, with torchvision's parameter names.
        pooling: `avg_max`, as in the published code, or `avg`.

    Shapes:
        `[N, 3, H, W]` to `[N, 2048]`.

    Raises:
        ConnectionError: If the ImageNet weights cannot be downloaded.
        FileNotFoundError: If the file is missing.
        ValueError: If `pooling` is unknown, or the file does not contain a ResNet-50.

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
        pooling: str = "avg_max",
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"Expected 'pooling' as {' or '.join(POOLINGS)} (got {pooling!r})")
        self.pooling = pooling
        self.model = build_with_weights(_network, "resnet50", pretrained, weights)

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


def _network(from_hub: bool) -> nn.Module:
    with fetching("resnet50", TORCHVISION_HOST):
        network = torchvision_resnet50(weights=ResNet50_Weights.IMAGENET1K_V1 if from_hub else None)
    network.fc = nn.Identity()
    return network
