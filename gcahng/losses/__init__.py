"""Metric losses, called as `loss(embeddings, labels)`, and the generator's terms."""

from collections.abc import Callable

from torch import nn

from gcahng.graph.own_class import import_class
from gcahng.losses.npair import NPairLoss
from gcahng.losses.proxy_anchor import ProxyAnchorLoss
from gcahng.losses.synthetic_npair import synthetic_npair
from gcahng.registry import did_you_mean

LOSSES: dict[str, type[nn.Module]] = {"npair": NPairLoss, "proxy_anchor": ProxyAnchorLoss}
# Usual names of losses that pytorch-metric-learning has.
FOREIGN = {
    "contrastive": "ContrastiveLoss",
    "multi_similarity": "MultiSimilarityLoss",
    "triplet": "TripletMarginLoss",
}

__all__ = ["LOSSES", "NPairLoss", "ProxyAnchorLoss", "find_loss", "synthetic_npair"]


def find_loss(name: str) -> Callable[..., nn.Module]:
    """What builds the metric loss `name`.

    Args:
        name: A key of `LOSSES`, contrastive, triplet, multi_similarity, the class name of any
            loss of pytorch-metric-learning, such as CircleLoss, or `module.path:ClassName` for one
            of one's own.

    Raises:
        ImportError: If the name is none of ours and pytorch-metric-learning is not installed.
        ValueError: If nobody knows the name; the sentence lists what there is.
    """
    if ":" in name:
        return import_class(name, "metric loss", nn.Module)
    if name in LOSSES:
        return LOSSES[name]
    foreign = FOREIGN.get(name, name)
    try:
        from pytorch_metric_learning import losses
    except ImportError as error:
        raise ImportError(
            f"the metric loss {name!r} is none of {', '.join(sorted(LOSSES))} and "
            "pytorch-metric-learning, which might have it, is not installed: "
            "pip install pytorch-metric-learning"
        ) from error
    found = getattr(losses, foreign, None)
    if isinstance(found, type) and issubclass(found, nn.Module):
        return found
    theirs = [key for key, value in vars(losses).items() if isinstance(value, type)]
    listed = ", ".join(sorted([*LOSSES, *FOREIGN]))
    raise ValueError(
        f"unknown metric loss {name!r}{did_you_mean(name, [*LOSSES, *FOREIGN, *theirs])}; choose "
        f"from: {listed}, or a class of pytorch_metric_learning.losses"
    )
