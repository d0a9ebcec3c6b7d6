"""The network that is trained and shipped: a backbone and a linear map to the embedding."""

from collections.abc import Collection

import torch.nn.functional as F
from torch import Tensor, nn


class Embedder(nn.Module):
    """A backbone, then BatchNorm and a linear layer.

    Args:
        backbone: Maps images to features; its attribute `out_channels` is their width.
        embedding_dim: D, at least 1.
        normalize: Whether embeddings have L2 norm 1.
        freeze: What stays in eval mode while the rest trains: `bn`, the backbone's BatchNorm2d
            layers; `patch`, the patch embedding of a vision transformer.

    Shapes:
        `[N, C, H, W]` to `[N, D]`.

    Raises:
        ValueError: If the backbone has no `out_channels` or not what `freeze` names, or
            `embedding_dim` is below 1.
    """

    def __init__(
        self,
        backbone: nn.Module,
        embedding_dim: int,
        normalize: bool = False,
        freeze: Collection[str] = (),
    ) -> None:
        super().__init__()
        width = getattr(backbone, "out_channels", None)
        if not isinstance(width, int):
            raise ValueError(
                f"The backbone {type(backbone).__name__} must have an integer attribute "
                "'out_channels', the width of its features."
            )
        if embedding_dim < 1:
            raise ValueError(f"Expected 'embedding_dim' of at least 1 (got {embedding_dim}).")
        self.backbone = backbone
        self.fc = nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, embedding_dim))
        self.embedding_dim = embedding_dim
        self.normalize = normalize
        self._frozen = [module for what in freeze for module in _modules_of(backbone, what)]

    def forward(self, images: Tensor) -> Tensor:
        """Map images `[N, C, H, W]` to embeddings `[N, D]`."""
        embeddings = self.fc(self.backbone(images))
        return F.normalize(embeddings) if self.normalize else embeddings

    def train(self, mode: bool = True) -> "Embedder":
        """Switch to training, but for what is frozen."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def extra_repr(self) -> str:
        """Show what the modules do not."""
        return f"normalize={self.normalize}"


def _modules_of(backbone: nn.Module, what: str) -> list[nn.Module]:
    found: list[nn.Module]
    if what == "bn":
        found = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    elif what == "patch":
        found = [m for name, m in backbone.named_modules() if name.split(".")[-1] == "patch_embed"]
    else:
        raise ValueError(f"Expected 'freeze' to name bn or patch (got {what!r}).")
    if not found:
        raise ValueError(
            f"The backbone {type(backbone).__name__} has nothing that freeze={what!r} means."
        )
    return found
