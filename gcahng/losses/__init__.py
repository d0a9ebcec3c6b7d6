"""Metric losses, called as `loss(embeddings, labels)`, and the generator's loss terms.

Example:
    >>> LOSSES.build("npair", temperature=0.5).temperature
    0.5
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gcahng.registry import Library, Registry, imported_on_use

if TYPE_CHECKING:
    from torch import nn

    from gcahng.losses.generator import synthetic_npair
    from gcahng.losses.npair import NPairLoss
    from gcahng.losses.proxy_anchor import ProxyAnchorLoss
else:
    __getattr__ = imported_on_use(__name__)

# Common names of losses in pytorch-metric-learning.
FOREIGN = {
    "contrastive": "ContrastiveLoss",
    "multi_similarity": "MultiSimilarityLoss",
    "triplet": "TripletMarginLoss",
}
# Base classes, losses around other losses, and two that take no labels.
UNUSABLE = {
    "BaseLossWrapper",
    "BaseMetricLossFunction",
    "CrossBatchMemory",
    "GenericPairLoss",
    "ManifoldLoss",
    "MultipleLosses",
    "SelfSupervisedLoss",
    "VICRegLoss",
}


def _in_pytorch_metric_learning(name: str) -> "Callable[..., nn.Module] | None":
    try:
        import pytorch_metric_learning  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"the metric loss {name!r} is none of {', '.join(sorted(LOSSES))}, and "
            "pytorch-metric-learning, which may provide it, is not installed: "
            "pip install pytorch-metric-learning"
        ) from error
    return _theirs().get(FOREIGN.get(name, name))


def _theirs() -> "dict[str, Callable[..., nn.Module]]":
    """Return the losses of pytorch-metric-learning that can be called with labels."""
    from pytorch_metric_learning import losses
    from torch import nn

    return {
        name: value
        for name, value in vars(losses).items()
        if isinstance(value, type) and issubclass(value, nn.Module) and name not in UNUSABLE
    }


LOSSES: "Registry[Callable[..., nn.Module]]" = Registry(
    "metric loss",
    {
        "npair": "gcahng.losses.npair:NPairLoss",
        "proxy_anchor": "gcahng.losses.proxy_anchor:ProxyAnchorLoss",
    },
    user_base="torch.nn:Module",
    library=Library(
        _in_pytorch_metric_learning,
        lambda: [*FOREIGN, *_theirs()],
        f"{', '.join(FOREIGN)}, or any class of pytorch_metric_learning.losses",
    ),
)

__all__ = ["LOSSES", "NPairLoss", "ProxyAnchorLoss", "synthetic_npair"]
