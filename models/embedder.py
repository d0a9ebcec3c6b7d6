"""Images to embeddings: a backbone and a linear map on its normalised features."""

from torch import Tensor, nn
from torch.nn import functional as F


class Embedder(nn.Module):
    """Backbone → BatchNorm1d → Linear.

    Args:
        backbone: Images [N, C, H, W] → features [N, backbone.out_channels].
        embedding_dim: D, the width of the embeddings.
        normalize: Scale the embeddings to unit length.

    Shapes: [N, C, H, W] → [N, D].

    Source: GCA-HNG (IJCV 2025), published embedders.
    """

    def __init__(self, backbone: nn.Module, embedding_dim: int, normalize: bool = False) -> None:
        super().__init__()
        width = int(backbone.out_channels)
        self.backbone = backbone
        self.fc = nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, embedding_dim))
        self.normalize = normalize

    def forward(self, images: Tensor) -> Tensor:
        """Embed a batch of images."""
        embeddings = self.fc(self.backbone(images))
        return F.normalize(embeddings, dim=-1) if self.normalize else embeddings
