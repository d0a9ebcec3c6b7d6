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
        freeze: What does not train: `bn`, the backbone's BatchNorm2d layers stay in eval mode;
            `bn_affine`, their weights and biases keep their values; `patch`, the patch embedding
            of a vision transformer stays in eval mode.
        init: How the linear layer starts: `default`, as torch does, or `orthogonal` with bias 0,
            as published for DINO.

    Shapes:
        `[N, C, H, W]` to `[N, D]`.

    Raises:
        ValueError: If the backbone has no `out_channels` or not what `freeze` names, or
            `embedding_dim` is below 1, or `init` is unknown.
    """

    def __init__(
        self,
        backbone: nn.Module,
        embedding_dim: int,
        normalize: bool = False,
        freeze: Collection[str] = (),
        init: str = "default",
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
        linear = nn.Linear(width, embedding_dim)
        self.fc = nn.Sequential(nn.BatchNorm1d(width), linear)
        self.embedding_dim = embedding_dim
        self.normalize = normalize
        if init == "orthogonal":
            nn.init.orthogonal_(linear.weight)
            nn.init.zeros_(linear.bias)
        elif init != "default":
            raise ValueError(f"Expected 'init' as default or orthogonal (got {init!r}).")
        frozen = {what: _modules_of(backbone, what) for what in freeze}
        affine = frozen.pop("bn_affine", [])
        self._frozen = [module for modules in frozen.values() for module in modules]
        self._fixed = [parameter for module in affine for parameter in module.parameters()]
        self._fix()

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

    def train_backbone(self, trains: bool, thaw: bool = False) -> None:
        """Let the backbone's parameters train or not, but for those that are fixed for good.

        Args:
            trains: Whether they get gradients; a warm-up trains the linear layer alone.
            thaw: Let the fixed ones train with the others, which is what the end of the warm-up
                does in the published code.
        """
        self.backbone.requires_grad_(trains)
        if not thaw:
            self._fix()

    def _fix(self) -> None:
        for parameter in self._fixed:
            parameter.requires_grad_(False)

    def extra_repr(self) -> str:
        """Show what the modules do not."""
        return f"normalize={self.normalize}"


def _modules_of(backbone: nn.Module, what: str) -> list[nn.Module]:
    found: list[nn.Module]
    if what in ("bn", "bn_affine"):
        found = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    elif what == "patch":
        found = [m for name, m in backbone.named_modules() if name.split(".")[-1] == "patch_embed"]
    else:
        raise ValueError(f"Expected 'freeze' to name bn, bn_affine or patch (got {what!r}).")
    if not found:
        raise ValueError(
            f"The backbone {type(backbone).__name__} has nothing that freeze={what!r} means; leave "
            "it out, as in embedder.freeze=[]"
        )
    return found
