"""The network from images to embeddings: a backbone and a last layer."""

from collections.abc import Collection
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from gcahng.arguments import is_integer
from gcahng.models.heads import ResidualHead, WhiteningHead


class Embedder(nn.Module):
    """A backbone followed by BatchNorm and a linear layer, or by another last layer.

    Args:
        backbone: Maps images to features of width `backbone.out_channels`. Parameters of it that
            require no gradient are never trained.
        embedding_dim: Embedding dimension D ≥ 1, for the heads `residual` and `whitening` at most
            the width of the features; None: that width, for the heads `none` and `whitening`.
        normalize: Whether to scale embeddings to L2 norm 1.
        freeze: Any of `bn` (the backbone's BatchNorm2d layers stay in eval mode), `bn_affine`
            (their weights and biases are not trained) and `patch` (the patch embedding of a
            vision transformer stays in eval mode, but is trained); or `backbone`: all of it stays
            in eval mode and is not trained.
        init: Initialisation of the linear layer: `default` (PyTorch's) or `orthogonal` with zero
            bias, as published for DINO.
        head: The last layer: `linear`; `none`: the features are the embeddings; or `residual` or
            `whitening`, a `ResidualHead` or a `WhiteningHead`, which are to be fitted to features.

    Shapes:
        `[N, C, H, W]` to `[N, D]`.

    Raises:
        ValueError: If an argument does not fit the backbone.

    Example:
        >>> import torch
        >>> from gcahng.models import SmallConv
        >>> embedder = Embedder(SmallConv(in_channels=1), embedding_dim=16, normalize=True).eval()
        >>> embeddings = embedder(torch.rand(3, 1, 32, 32))
        >>> embeddings.shape
        torch.Size([3, 16])
        >>> torch.allclose(embeddings.norm(dim=1), torch.ones(3))
        True
    """

    def __init__(
        self,
        backbone: nn.Module,
        embedding_dim: int | None,
        normalize: bool = False,
        freeze: Collection[str] = (),
        init: str = "default",
        head: str = "linear",
    ) -> None:
        super().__init__()
        width: Any = backbone.out_channels
        if embedding_dim is None and head in ("none", "whitening"):
            embedding_dim = width
        if embedding_dim is None or not is_integer(embedding_dim, 1):
            raise ValueError(
                f"Expected 'embedding_dim' as an integer of at least 1 (got {embedding_dim!r})."
            )
        self.backbone = backbone
        self.fc = _build_head(head, width, embedding_dim, init)
        self.embedding_dim: int = embedding_dim
        self.normalize = normalize
        self._frozen_by_itself = [p for p in backbone.parameters() if not p.requires_grad]
        frozen = {entry: _frozen_modules(backbone, entry) for entry in freeze}
        affine = [*frozen.pop("bn_affine", []), *frozen.get("backbone", [])]
        self._always_eval = [module for modules in frozen.values() for module in modules]
        self._untrained = [parameter for module in affine for parameter in module.parameters()]
        self._freeze_parameters()

    def forward(self, images: Tensor) -> Tensor:
        """Map images `[N, C, H, W]` to embeddings `[N, D]`."""
        return self.head(self.backbone(images))

    def head(self, features: Tensor) -> Tensor:
        """Map features `[N, out_channels]` of the backbone to embeddings `[N, D]`."""
        embeddings = self.fc(features)
        return F.normalize(embeddings) if self.normalize else embeddings

    def take_head(self, head: WhiteningHead) -> None:
        """Take the last layer and its dimension; in place if it has the present one's shape."""
        like = next(self.parameters())
        dim = head.linear.out_features
        if isinstance(self.fc, WhiteningHead) and dim == self.embedding_dim:
            # An optimizer may hold these parameters.
            self.fc.load_state_dict(head.state_dict())
            return
        self.fc, self.embedding_dim = head.to(like.device, like.dtype), dim

    def train(self, mode: bool = True) -> "Embedder":
        """Set training or eval mode; what `bn`, `patch` or `backbone` names stays in eval mode."""
        super().train(mode)
        for module in self._always_eval:
            module.eval()
        return self

    def train_backbone(self, trains: bool, thaw: bool = False) -> None:
        """Enable or disable gradients of the backbone, unless it is frozen as a whole.

        `thaw` also applies `trains` to the parameters frozen by `bn_affine`, as the published code
        does at the end of the warm-up, in which only the last layer is trained.
        """
        if trains:
            self.thaw_backbone()
        else:
            self.backbone.requires_grad_(False)
        if not thaw or self.backbone in self._always_eval:
            self._freeze_parameters()

    def thaw_backbone(self) -> None:
        """Enable gradients of all but what the backbone itself froze, until `train_backbone`."""
        self.backbone.requires_grad_(True)
        for parameter in self._frozen_by_itself:
            parameter.requires_grad_(False)

    def _freeze_parameters(self) -> None:
        for parameter in self._untrained:
            parameter.requires_grad_(False)

    def extra_repr(self) -> str:
        """Show whether embeddings are normalised."""
        return f"normalize={self.normalize}"


def _build_head(head: str, width: int, dim: int, init: str) -> nn.Module:
    if head == "none" and dim != width:
        raise ValueError(
            f"Expected 'embedding_dim' as {width}, the width of the backbone's features, for head "
            f"'none' (got {dim})."
        )
    match head:
        case "none":
            return nn.Identity()
        case "residual":
            return ResidualHead(width, dim)
        case "whitening":
            return WhiteningHead(width, dim)
        case "linear":
            linear = nn.Linear(width, dim)
            if init == "orthogonal":
                nn.init.orthogonal_(linear.weight)
                nn.init.zeros_(linear.bias)
            elif init != "default":
                raise ValueError(f"Expected 'init' as default or orthogonal (got {init!r}).")
            return nn.Sequential(nn.BatchNorm1d(width), linear)
    raise ValueError(f"Expected 'head' as linear, none, residual or whitening (got {head!r}).")


def _frozen_modules(backbone: nn.Module, entry: str) -> list[nn.Module]:
    """Return the backbone's modules that an entry of `freeze` refers to."""
    if entry == "backbone":
        return [backbone]
    if entry == "patch":
        found = [m for name, m in backbone.named_modules() if name.split(".")[-1] == "patch_embed"]
    elif entry in ("bn", "bn_affine"):
        found = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    else:
        raise ValueError(f"Expected 'freeze' of backbone, bn, bn_affine or patch (got {entry!r}).")
    if not found:
        raise ValueError(
            f"The backbone {type(backbone).__name__} has no layer for freeze={entry!r}; remove the "
            "entry, for instance with embedder.freeze=[]"
        )
    return found
