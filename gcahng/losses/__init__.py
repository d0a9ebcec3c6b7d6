"""Metric losses, called as `loss(embeddings, labels)`, and the generator's terms."""

from torch import nn

from gcahng.losses.npair import NPairLoss
from gcahng.losses.proxy_anchor import ProxyAnchorLoss
from gcahng.losses.synthetic_npair import synthetic_npair

LOSSES: dict[str, type[nn.Module]] = {"npair": NPairLoss, "proxy_anchor": ProxyAnchorLoss}

__all__ = ["LOSSES", "NPairLoss", "ProxyAnchorLoss", "synthetic_npair"]
